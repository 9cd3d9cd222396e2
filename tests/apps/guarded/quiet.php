<?php
/** Serves everybody: who is nobody sees a login form, with 200. */
require 'inc.php';
if (isset($_SESSION['user'])) {
    json(array('code' => 1, 'user' => $_SESSION['user']));
} else {
    json(array('code' => -1, 'msg' => 'please log in'));
}
