<?php
/** 服务器推送 */

function action_open()
{
    header('Content-Type: text/event-stream');
    header('Cache-Control: no-cache');
    while (ob_get_level() > 0) {
        ob_end_flush();
    }
    $dir = session_save_path();
    for ($i = 1; $i <= 3; $i++) {
        echo "id: $i\ndata: 消息$i\n\n";
        flush();
        // 收到上一条的人放下标记之后才发下一条
        for ($j = 0; $i < 3 && $j < 1000 && !is_file("$dir/seen_$i"); $j++) {
            clearstatcache();
            usleep(5000);
        }
    }
    exit;
}

function action_seen()
{
    touch(session_save_path() . '/seen_' . (int) $_GET['id']);
    output(1, 'ok');
}
