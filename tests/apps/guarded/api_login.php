<?php
require 'inc.php';
if (!spend('token', $_POST['token'])) {
    json(array('code' => 0, 'msg' => 'bad token'));
} elseif (!may_enter($_POST['user'], $_POST['pass'])) {
    json(array('code' => 0, 'msg' => 'no'));
} else {
    enter($_POST['user']);
    json(array('code' => 1, 'data' => array('uid' => $_POST['user'])));
}
