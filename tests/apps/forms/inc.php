<?php
/** 企业办公系统 公共文件 */
error_reporting(E_ALL & ~E_NOTICE);
date_default_timezone_set('Asia/Shanghai');
header('Content-Type: text/html; charset=utf-8');
session_start();

$staff = array(
    21 => array('username' => 'zhangsan', 'password' => 'zs2013', 'name' => '张三', 'phone' => '13800000021'),
    22 => array('username' => 'lisi', 'password' => 'ls2013', 'name' => '李四', 'phone' => '13800000022'),
);

function h($text)
{
    return htmlspecialchars($text, ENT_QUOTES, 'UTF-8');
}

function go($url)
{
    header('Location: ' . $url);
    exit;
}

function check_login()
{
    if (empty($_SESSION['uid'])) {
        go('/login.php');
    }
    return $_SESSION['uid'];
}

function page($title, $body)
{
    echo "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>" . h($title) . "</title></head>\n";
    echo '<body>' . $body . "</body></html>\n";
}
