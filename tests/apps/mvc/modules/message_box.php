<?php
/** 站内信 */

function action_poll()
{
    need_login();
    session_write_close();
    output(1, 'ok', array('unread' => 3));
}
