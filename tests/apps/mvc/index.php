<?php
/**
 * 微商城接口入口  index.php?mod=模块&ctl=控制器&act=方法
 *
 * 所有接口返回 {"code":1成功 0失败,"msg":"提示","data":数据}
 */
error_reporting(E_ALL & ~E_NOTICE);
date_default_timezone_set('Asia/Shanghai');

define('ROOT', dirname(__FILE__));
require ROOT . '/common/functions.php';
require ROOT . '/common/users.php';

$mod = isset($_GET['mod']) ? $_GET['mod'] : 'news';
$ctl = isset($_GET['ctl']) ? $_GET['ctl'] : 'list';
$act = isset($_GET['act']) ? $_GET['act'] : 'index';

// 只允许字母数字，防止包含任意文件
foreach (array($mod, $ctl, $act) as $part) {
    if (!is_string($part) || !preg_match('/^[a-z][a-z0-9_]*$/i', $part)) {
        output(0, '参数错误');
    }
}

$file = ROOT . '/modules/' . strtolower($mod) . '_' . strtolower($ctl) . '.php';
if (!is_file($file)) {
    output(0, '接口不存在');
}
require $file;

$function = 'action_' . strtolower($act);
if (!function_exists($function)) {
    output(0, '接口不存在');
}
$function();
