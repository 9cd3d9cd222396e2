<?php
require dirname(__FILE__) . '/inc.php';
$uid = check_login();
page('首页', '<h1>欢迎，' . h($staff[$uid]['name']) . '</h1><a href="/profile.php?id=' . $uid . '">我的资料</a>');
