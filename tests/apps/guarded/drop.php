<?php
/** The session is gone and nobody is told, as when it was collected. */
require 'inc.php';
session_destroy();
json(array('code' => 1));
