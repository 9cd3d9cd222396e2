<?php
require 'inc.php';

function page($said)
{
    $token = fresh('token');
    setcookie('seen', 'yes', 0, '/');
    echo "<!doctype html><title>Log in</title><p>$said</p>\n",
        "<form action='find.php'><input name=q><input type=hidden name=token value=wrong></form>\n",
        "<form id=login method=post action='?step=check&amp;from=%2Fhome'>",
        "<input type=hidden name=token value='$token'><input type=hidden name='more[kind]' value='a &amp; b'>",
        '<input name=user><input type=password name=pass></form>';
}

if (!isset($_GET['step'])) {
    page('Who are you?');
} elseif (!spend('token', $_POST['token'])) {
    page('This page is too old.');
} elseif ($_SERVER['HTTP_REFERER'] !== 'http://' . $_SERVER['HTTP_HOST'] . '/login.php') {
    page('Where do you come from?');
} elseif ($_POST['more'] !== array('kind' => 'a & b') || $_COOKIE['seen'] !== 'yes') {
    page('Something is missing.');
} elseif (!may_enter($_POST['user'], $_POST['pass'])) {
    page('No.');
} else {
    enter($_POST['user']);
    header('Location: /home.php');
}
