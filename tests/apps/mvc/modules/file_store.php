<?php
/** 上传下载 */

/** 1 MiB 的文件，内容固定 */
function content()
{
    return str_repeat("0123456789abcde\n", 65536);
}

function action_download()
{
    $content = content();
    header('Content-Type: application/octet-stream');
    header('Content-Disposition: attachment; filename="report.bin"');
    header('Content-Length: ' . strlen($content));
    header('ETag: "' . md5($content) . '"');
    echo $content;
    exit;
}

function action_upload()
{
    if (isset($_FILES['file'])) {
        $file = $_FILES['file'];
        output(1, '上传成功', array(
            'name' => $file['name'],
            'size' => $file['size'],
            'md5' => md5_file($file['tmp_name']),
            'fields' => (object) $_POST,
        ));
    }
    $body = file_get_contents('php://input');
    output(1, '上传成功', array('size' => strlen($body), 'md5' => md5($body)));
}
