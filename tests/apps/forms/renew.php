<?php
// 续期“记住我”
require dirname(__FILE__) . '/inc.php';
$uid = check_login();
session_regenerate_id(true);
setcookie('uid', $uid, time() + 86400, '/');
page('续期', '<p>已续期</p>');
