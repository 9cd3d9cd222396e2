<?php
require 'inc.php';
json(array('tokens' => array('login' => fresh('token'))));
