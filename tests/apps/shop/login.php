<?php
require 'inc.php';
// A captcha is good for one try; after one that fails the session goes by another name.
$right = isset($_SESSION['captcha']) && hash_equals($_SESSION['captcha'], $_POST['captcha'] ?? '');
unset($_SESSION['captcha']);
session_regenerate_id(true);
if (!$right || ($_POST['pass'] ?? '') !== $_POST['user'] . '123') {
    say(0, ['why' => $right ? 'password' : 'captcha']);
}
$_SESSION['name'] = $_POST['user'];
setcookie('uid', $_POST['user'], 0, '/');
say(1, ['uid' => $_POST['user']]);
