<?php
require 'login.php';
