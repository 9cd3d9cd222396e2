<?php

/*
 * Tells what in a PHP file is newer than a version of PHP: `php old_php.php 5.4 FILE`. Not a parser: it knows the tokens and the
 * shapes by which newer syntax shows itself, and lets pass only those functions that are known to be old enough.
 */

list(, $version, $file) = $argv;

$new_tokens = array(
    '5.5' => array('T_FINALLY', 'T_YIELD'),
    '5.6' => array('T_ELLIPSIS', 'T_POW', 'T_POW_EQUAL'),
    '7.0' => array('T_COALESCE', 'T_SPACESHIP', 'T_YIELD_FROM'),
    '7.4' => array('T_COALESCE_EQUAL', 'T_FN'),
    '8.0' => array('T_MATCH', 'T_ATTRIBUTE', 'T_NULLSAFE_OBJECT_OPERATOR', 'T_NAME_QUALIFIED', 'T_NAME_FULLY_QUALIFIED'),
    '8.1' => array('T_ENUM', 'T_READONLY'),
);

// Over the code with every variable as `$v`, number as `1`, text as `''`, and without blanks and comments but between words.
$new_shapes = array(
    '5.5' => array(
        '::class' => '~::class\b~',
        'a list in foreach' => '~\bas ?(\$v=>)?(list\(|\[)~',
        'empty() of an expression' => '~\bempty\((?!\$v(->\w+|::\$v|\[[^\]]*\])*\))~',
        'an index of a literal' => "~''\[|\]\[1\](?=;)|array\([^()]*\)\[~",
    ),
    '5.6' => array(
        'use function' => '~\buse (function|const)\b~',
        'a constant expression' => '~\bconst \w+=[^;]*[-+*/.|&]~',
    ),
    '7.0' => array(
        'a type of a scalar' => '~[(,]\??(int|string|bool|float|iterable|mixed|object|self\|)\s+&?\$v~',
        'a type of a result' => '~\)(use\([^)]*\))?:\??\\\\?\w+(\{|;)~',
        'a call of a closure' => '~\}\)\(~',
        'an anonymous class' => '~\bnew class\b~',
        'a group of uses' => '~\buse [\w\\\\]+\{~',
        'declare(strict_types)' => '~strict_types~',
    ),
    '7.1' => array(
        'a list in brackets' => '~(<\?php\s|[;{}])\[[^\]]*\]=(?!=)~',
        'a nullable type' => '~[(,]\?\w+ ?\$v~',
        'a constant with a visibility' => '~\b(public|private|protected) const\b~',
        'several caught at once' => '~\bcatch\([\w\\\\]+\|~',
        'keys in list()' => "~\blist\([^)]*=>~",
    ),
    '7.3' => array('a comma behind the last argument' => '~(?<!\barray)\([^()]*,\)~'),
    '7.4' => array(
        'a type of a property' => '~\b(public|private|protected)( static)? (?!function|static|const|abstract|final)[\w?\\\\]+ ?\$v~',
    ),
    '8.0' => array('a union of types' => '~\w\|\w+ \$v~', 'a named argument' => '~[(,]\w+:(?!:)~', 'a static type' => '~\):static~'),
);

$old_functions = array(
    'abs', 'array_filter', 'array_values', 'base64_decode', 'bin2hex', 'constant', 'count', 'defined', 'error_log', 'explode',
    'file_get_contents', 'function_exists', 'get_cfg_var', 'getenv', 'hash', 'hash_hmac', 'header', 'http_build_query',
    'http_response_code', 'implode', 'in_array', 'is_readable', 'is_string', 'md5', 'openssl_decrypt', 'openssl_random_pseudo_bytes',
    'ord', 'preg_match', 'preg_replace', 'preg_split', 'sort', 'str_repeat', 'strlen', 'strncmp', 'strpos', 'strtolower', 'strtoupper',
    'strtr', 'substr', 'time', 'trim',
    'hash_equals', // since 5.6, asked for with function_exists
);

$tokens = token_get_all(file_get_contents($file));
$faults = array();
$code = '';
foreach ($tokens as $token) {
    list($kind, $text) = is_array($token) ? $token : array(null, $token);
    foreach ($new_tokens as $since => $names) {
        foreach ($names as $name) {
            if (version_compare($since, $version, '>') && defined($name) && $kind === constant($name)) {
                $faults[] = "$text since PHP $since";
            }
        }
    }
    if ($kind === T_LNUMBER && strpos($text, '_') !== false) {
        $faults[] = "$text since PHP 7.4";
    }
    switch ($kind) {
        case T_COMMENT:
        case T_DOC_COMMENT:
        case T_WHITESPACE:
            $code .= ' ';
            break;
        case T_VARIABLE:
            $code .= '$v';
            break;
        case T_CONSTANT_ENCAPSED_STRING:
            $code .= "''";
            break;
        case T_LNUMBER:
        case T_DNUMBER:
            $code .= '1';
            break;
        default:
            $code .= $text;
    }
}
$code = preg_replace('~ +~', ' ', $code);
$code = preg_replace('~(?<!\w) | (?![\w$])~', '', $code);

foreach ($new_shapes as $since => $shapes) {
    foreach ($shapes as $what => $shape) {
        if (version_compare($since, $version, '>') && preg_match($shape, $code, $found)) {
            $faults[] = "$what since PHP $since: $found[0]";
        }
    }
}

preg_match_all('~(?<![\w$>:\\\\])(?<!function )(?<!new )([a-z]\w*)\(~i', $code, $called);
$constructs = array('array', 'list', 'isset', 'empty', 'exit', 'if', 'foreach', 'for', 'while', 'switch', 'catch', 'function', 'return', 'use');
foreach (array_diff(array_unique($called[1]), $constructs, $old_functions) as $function) {
    $faults[] = "$function() is not known to be in PHP $version";
}

echo implode("\n", $faults);
exit($faults ? 1 : 0);
