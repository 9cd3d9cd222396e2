<?php
/** 服务器推送 */

/** 收到上一条的人放下标记之后才发下一条 */
function seen($i)
{
    $file = session_save_path() . "/seen_$i";
    for ($j = 0; $j < 1000; $j++) {
        clearstatcache();
        if (is_file($file)) {
            return true;
        }
        usleep(5000);
    }
    return false;
}

function action_open()
{
    header('Content-Type: text/event-stream');
    header('Cache-Control: no-cache');
    header('X-Accel-Buffering: no');
    while (ob_get_level() > 0) {
        ob_end_flush();
    }
    for ($i = 1; $i <= 3; $i++) {
        echo "id: $i\ndata: 消息$i\n\n";
        flush();
        if (!seen($i)) {
            break;
        }
    }
    exit;
}

function action_seen()
{
    touch(session_save_path() . '/seen_' . (int) $_GET['id']);
    output(1, 'ok');
}
