<?php
require dirname(__FILE__) . '/inc.php';
check_login();
$id = isset($_GET['id']) ? (int) $_GET['id'] : 0;
if (!isset($staff[$id])) {
    header('HTTP/1.1 404 Not Found');
    page('没有找到', '<p>没有这个人</p>');
    exit;
}
page('资料', '<dl><dt>姓名</dt><dd>' . h($staff[$id]['name']) . '</dd><dt>电话</dt><dd>' . h($staff[$id]['phone']) . '</dd></dl>');
