<?php
// 管理员代登录：换成另一个人的身份
require dirname(__FILE__) . '/inc.php';
check_login();
$id = isset($_GET['id']) ? (int) $_GET['id'] : 0;
$_SESSION['uid'] = $id;
setcookie('uid', $id, time() + 86400, '/');
page('切换', '<p>现在是 ' . h($staff[$id]['name']) . '</p>');
