<?php
// Tells what PHP made of a request: one line for each top-level name, in hex, with its text or `[]`.
header('Content-Type: text/plain');
foreach (['get' => $_GET, 'post' => $_POST, 'cookie' => $_COOKIE, 'files' => $_FILES, 'server' => $_SERVER] as $source => $held) {
    foreach ($held as $name => $value) {
        if ($source !== 'server' || str_starts_with($name, 'HTTP_')) {
            echo $source, ' ', bin2hex($name), is_array($value) ? '[]' : '=' . bin2hex((string) $value), "\n";
        }
    }
}
