<?php
/** 各种 cookie */

/** 等另一个请求也到了再回答，两个回答一定是重叠的 */
function meet($me, $other)
{
    $dir = session_save_path();
    touch("$dir/meet_$me");
    for ($i = 0; $i < 1000; $i++) {
        clearstatcache();
        if (is_file("$dir/meet_$other")) {
            return;
        }
        usleep(5000);
    }
    output(0, '没有等到');
}

function action_a()
{
    meet('a', 'b');
    setcookie('a', '1');
    output(1, 'ok');
}

function action_b()
{
    meet('b', 'a');
    setcookie('b', '2');
    output(1, 'ok');
}

/** 记住我：一小时 */
function action_hour()
{
    setcookie('hour', 'yes', time() + 3600);
    output(1, 'ok');
}

/** 只给后台目录的 cookie */
function action_path()
{
    setcookie('deep', 'yes', 0, '/admin/');
    output(1, 'ok');
}

/** 购物车 */
function action_cart()
{
    setcookie('cart', 'full', 0, '/');
    output(1, 'ok');
}

/** 清空购物车 */
function action_uncart()
{
    setcookie('cart', '', time() - 3600, '/');
    output(1, 'ok');
}

/** 带中文和特殊字符 */
function action_odd()
{
    setcookie('odd', '中文; a=b');
    setrawcookie('raw', 'a%20b+c');
    output(1, 'ok');
}
