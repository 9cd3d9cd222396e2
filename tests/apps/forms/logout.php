<?php
require dirname(__FILE__) . '/inc.php';
$_SESSION = array();
session_destroy();
setcookie('uid', '', time() - 3600, '/');
go('/login.php');
