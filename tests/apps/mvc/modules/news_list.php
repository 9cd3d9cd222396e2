<?php
/** 新闻 */

function action_index()
{
    output(1, 'ok', array(
        array('id' => 1, 'title' => '商城上线了'),
        array('id' => 2, 'title' => '双十二活动'),
    ));
}

/** 老接口还是 GBK */
function action_gbk()
{
    header('Content-Type: text/html; charset=gbk');
    // 你好，世界
    echo '{"code":1,"msg":"' . "\xc4\xe3\xba\xc3\xa3\xac\xca\xc0\xbd\xe7" . '","data":[]}';
    exit;
}

/** 换了地址，跳到配置里写死的域名 */
function action_old()
{
    $site = 'http://' . $_SERVER['SERVER_NAME'] . ':' . $_SERVER['SERVER_PORT'];
    header('Location: ' . $site . '/index.php?mod=news&ctl=list&act=index', true, 301);
    exit;
}
