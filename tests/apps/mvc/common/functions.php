<?php
/** 公共函数 */

/** 输出 JSON 并结束 */
function output($code, $msg, $data = array())
{
    header('Content-Type: text/html; charset=utf-8');
    echo json_encode(array('code' => $code, 'msg' => $msg, 'data' => $data));
    exit;
}

/** 取 POST 参数 */
function post($name, $default = '')
{
    return isset($_POST[$name]) && is_string($_POST[$name]) ? trim($_POST[$name]) : $default;
}

/** 当前登录用户，未登录直接返回错误 */
function need_login()
{
    session_start();
    if (empty($_SESSION['uid'])) {
        output(0, '请先登录');
    }
    return find_user_by_id($_SESSION['uid']);
}
