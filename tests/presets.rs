//! `framework`: every spelling of a route either names the endpoint that the framework runs, or is refused. What each framework does
//! is from its dispatcher, named beside its table.

mod support;

use support::naming::name;

/// `ThinkPHP/Library/Think/Dispatcher.class.php` of 3.2.3.
#[tokio::test]
async fn thinkphp_3_2() {
    name(
        "framework: thinkphp3",
        &[
            ("/", "Home/Index/index"),
            ("/index.php", "Home/Index/index"),
            ("/index.php/Admin/User/del", "Admin/User/del"),
            ("/admin/user/del", "admin/user/del"),
            ("/admin/user/del/id/5", "admin/user/del"),
            ("/admin/user/del.html", "admin/user/del"),
            ("/admin/user/del.JSP", "admin/user/del"),
            ("/admin/user/del/", "admin/user/del"),
            ("/admin/user", "admin/user/index"),
            ("/admin", "admin/Index/index"),
            ("/?s=/admin/user/del", "admin/user/del"),
            ("/?s=admin/user/del/id/5.html", "admin/user/del"),
            ("/index.php?s=/Admin/UserType/del", "Admin/UserType/del"),
            ("/?s=", "Home/Index/index"),
            ("/?s=/admin", "admin/Index/index"),
            ("/?m=admin&c=user&a=del", "admin/user/del"),
            ("/?c=User", "Home/User/index"),
            ("/ <- a=del", "Home/Index/del"),
            ("/?m=admin&c=user <- a=del", "admin/user/del"),
            ("/admin/user/del?m=admin&c=user&a=del", "admin/user/del"),
            // The path is overridden, in part or as a whole.
            ("/home/index/index?s=/admin/user/del", "ambiguous"),
            ("/admin/user/del?s=", "ambiguous"),
            ("/?s=/admin&c=User", "ambiguous"),
            ("/admin/user <- a=del", "ambiguous"),
            ("/admin/user/list <- a=", "ambiguous"),
            ("/?m=admin&c=user&a=list <- a=del", "ambiguous"),
            ("/ <- m=admin&c=user", "ambiguous"),
            ("/?s[]=/admin&s=/home", "ambiguous"),
            ("/?s=/home&s=/admin", "ambiguous"),
            ("/?addon=x&m=home&c=index&a=index", "ambiguous"),
            ("/home/index/index/user_id/5", "ambiguous"),
            ("/home/index/index/foo-user_id/5", "ambiguous"),
            // strip_tags, the end at NUL, empty segments.
            ("/?m=home&c=user&a=<b>info", "malformed"),
            ("/?m=home&c=User%00&a=info", "malformed"),
            ("/?s=/home//user/info", "malformed"),
            ("/?s=/home/user/%69nfo%2f..", "malformed"),
            ("/?m=home&c=user/info&a=del", "malformed"),
        ],
    )
    .await;
}

#[tokio::test]
async fn thinkphp_3_2_folds_the_spellings_of_a_controller_in_rules() {
    let rules = "framework: thinkphp3\nrules: [{endpoint: home/user_type/get, require: client}]";
    let case = support::naming::Case::bare(rules).await;
    for line in ["/home/UserType/get", "/HOME/user_type/Get", "/?s=/home/userType/get", "/?c=UserType&a=GET"] {
        let reply = case.request(line).await;
        assert_eq!(reply.reason(), "client_missing", "{line}: the rule matches");
    }
    assert_eq!(case.request("/home/user_kind/get").await.reason(), "denied");
}

/// `library/think/Request.php` and `Route.php` of 5.0, compared with 5.0.25 as it runs on PHP 8.2.
#[tokio::test]
async fn thinkphp_5() {
    name(
        "framework: thinkphp5",
        &[
            ("/", "index/index/index"),
            ("/index.php/admin/user/del", "admin/user/del"),
            ("/admin/user/del/id/5.html", "admin/user/del"),
            ("/?s=admin/user/del", "admin/user/del"),
            ("/index.php?s=/admin/user", "admin/user/index"),
            ("/admin/user/del?s=/admin/user/del", "admin/user/del"),
            ("/?m=admin&c=user&a=del", "index/index/index"),
            ("/?s=", "index/index/index"),
            ("/?%73=admin/user/del", "admin/user/del"),
            ("/?s=admin%2Fuser%2Fdel", "admin/user/del"),
            ("/admin/user_type/del", "admin/user_type/del"),
            // Names of parameters keep their case.
            ("/?S=admin/user/del", "index/index/index"),
            ("/ <- s=admin/user/del", "ambiguous"),
            ("/admin/user/del <- s=index/user/del", "ambiguous"),
            ("/admin/user/del/s/index", "ambiguous"),
            ("/admin/user/del/user_id/5", "ambiguous"),
            ("/?s[]=admin/user/del", "ambiguous"),
            ("/?s=admin/user/del&s=index/index/index", "ambiguous"),
            ("/?s=/admin//user/del", "malformed"),
            ("/?s=admin/user/%3Cb%3Einfo", "malformed"),
            ("/?s=admin/user/info%00", "malformed"),
            ("/admin/user/list?s=/admin/user/del", "ambiguous"),
            ("/ <- _method=__construct&filter[]=system&method=get", "ambiguous"),
            ("/?_method=DELETE", "ambiguous"),
            // `\think\app/invokefunction`, `|` as a separator, levels of controllers.
            (r"/?s=index/\think\app/invokefunction", "malformed"),
            ("/?s=index/%5cthink%5capp/invokefunction", "malformed"),
            ("/?s=admin|user|del", "malformed"),
            ("/?s=index/blog.admin/del", "malformed"),
        ],
    )
    .await;
}

/// `system/core/URI.php` and `Router.php` of 3.1, with `uri_protocol: REQUEST_URI` as it comes; compared with 3.1.13 as it runs on PHP 8.2.
#[tokio::test]
async fn codeigniter_3() {
    name(
        "framework: codeigniter3",
        &[
            ("/", "app/welcome/index"),
            ("/index.php/user/info", "app/user/info"),
            ("/user/info/5", "app/user/info"),
            ("/user/info.html", "app/user/info"),
            ("/user", "app/user/index"),
            ("/?/user/info", "app/user/info"),
            ("/index.php?/user/info/5&x=1", "app/user/info"),
            ("/user/info?/user/info", "app/user/info"),
            // A nameless query routes at `/` alone, and only with a slash before it; no further parameter does.
            ("/?user/info", "app/welcome/index"),
            ("/?x=1&/user/info", "app/welcome/index"),
            ("/?%2Fuser%2Finfo", "app/welcome/index"),
            ("/index.php/?/user/info", "app/user/info"),
            ("/user-type/get-it", "app/user-type/get-it"),
            // A controller in a folder runs; what it runs is told by no triple, so all its actions share one.
            ("/admin/user/del", "app/admin/user"),
            ("/?/admin/user/list", "app/admin/user"),
            ("/user/list?/user/info", "ambiguous"),
            ("/user/list?/admin/user/del", "ambiguous"),
            ("/?d=admin&c=user&m=del", "ambiguous"),
            ("//user/info", "malformed"),
            ("/user//info", "malformed"),
            ("/./user/info", "malformed"),
            ("/user%2Finfo", "malformed"),
            ("/?/user/info=1", "malformed"),
            ("/index.php?/user/info?x=1", "malformed"),
            ("/user/info.php", "denied"),
            ("/?c=user&m=info", "ambiguous"),
            ("/user/info?d=admin", "ambiguous"),
            ("/user/info <- m=del", "ambiguous"),
            ("/?//user/info", "malformed"),
            ("/?/user/../admin/del", "malformed"),
            ("/?/user/info~x", "malformed"),
        ],
    )
    .await;
}

/// `framework/web/CUrlManager.php` of 1.1: the parameter goes before the path. Compared with 1.1 as it runs on PHP 8.2, in both `urlFormat`s.
#[tokio::test]
async fn yii_1() {
    name(
        "framework: yii1",
        &[
            ("/", "app/site/index"),
            ("/index.php?r=user/login", "app/user/login"),
            ("/?r=user", "app/user/index"),
            ("/?r=", "app/site/index"),
            ("/index.php/user/login", "app/user/login"),
            ("/user/view/id/5", "app/user/view"),
            ("/?r=/user/login/", "app/user/login"),
            ("/?r=userType/get", "app/userType/get"),
            ("/user/view/r/site/login", "ambiguous"),
            ("/user/login <- r=site/index", "ambiguous"),
            ("/?r[]=user/login", "ambiguous"),
            ("/?r=user//login", "malformed"),
            ("/?r=user.login", "malformed"),
            ("/site/logout?r=site/login", "ambiguous"),
            ("/ <- r=user/login", "ambiguous"),
            ("/?r=user/login&r=user/del", "ambiguous"),
            // A module's route: which of its parts is what, only the application knows.
            ("/?r=admin/user/login", "malformed"),
            ("/?r=user/login%00", "malformed"),
        ],
    )
    .await;
}

/// `source/class/discuz/discuz_application.php` of X3: the form is laid over the query.
#[tokio::test]
async fn discuz() {
    name(
        "framework: discuz",
        &[
            ("/", "forum/index/index"),
            ("/index.php", "forum/index/index"),
            ("/forum.php", "forum/index/index"),
            ("/forum.php?mod=viewthread&tid=5", "forum/viewthread/index"),
            ("/member.php?mod=logging&action=login", "member/logging/login"),
            ("/member.php <- mod=logging&action=login", "member/logging/login"),
            ("/member.php?mod=logging <- action=logout", "member/logging/logout"),
            ("/member.php?mod=logging <- mod=register", "ambiguous"),
            ("/member.php?mod=logging&action=login <- action=logout", "ambiguous"),
            ("/forum.php?mod[]=post", "ambiguous"),
            ("/forum.php?rewrite=action/login", "ambiguous"),
            ("/forum.php?mod=view thread", "malformed"),
        ],
    )
    .await;
}

/// `includes/init.php` and the scripts of ECShop 2.7: `$_REQUEST['act']`.
#[tokio::test]
async fn ecshop() {
    name(
        "framework: ecshop",
        &[
            ("/", "shop/index/default"),
            ("/?act=cat_rec", "shop/index/cat_rec"),
            ("/user.php", "shop/user/default"),
            ("/admin/", "admin/index/default"),
            ("/user.php?act=act_login", "shop/user/act_login"),
            ("/user.php <- act=act_login", "shop/user/act_login"),
            ("/admin/users.php?act=list", "admin/users/list"),
            ("/user.php?act=login <- act=logout", "ambiguous"),
            ("/user.php?act=login&act=logout", "ambiguous"),
            ("/user.php?act=<b>login", "malformed"),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_the_file_says_itself_goes_before_the_preset() {
    name(
        "framework: thinkphp3\nendpoint_defaults: {module: shop, controller: Index, action: index}\nselectors: [lang]",
        &[
            ("/", "shop/Index/index"),
            ("/?s=/admin/user/del", "admin/user/del"),
            ("/?lang=x", "ambiguous"),
            ("/?addon=x", "ambiguous"),
        ],
    )
    .await;
}

#[test]
fn check_prints_what_a_preset_stands_for_and_refuses_unknown_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ticketgate.yaml");
    let check = |framework: &str| {
        let text = format!("framework: {framework}\nupstream: {{url: \"http://127.0.0.1:1\"}}\n");
        std::fs::write(&file, text).expect("a file");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ticketgate"));
        let output = command.args(["check", "-c"]).arg(&file).output().expect("the program");
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).expect("text"))
    };
    for (name, line) in [
        ("thinkphp3", "  - query_path: {name: s, template: \"/{module}/{controller}/{action}/**\"}"),
        ("thinkphp5", "selectors: [_method]"),
        ("codeigniter3", "selectors: [c, m, d]"),
        ("yii1", "endpoint_defaults: {module: app, controller: site, action: index}"),
        ("discuz", "    request: {controller: mod, action: action}"),
        ("ecshop", "    request: {action: act}"),
    ] {
        let (fine, said) = check(name);
        assert!(fine && said.contains(&format!("\n  {line}\n")), "{name}: {said}");
    }
    let (fine, said) = check("laravel");
    assert!(!fine && said.contains(":1: framework:") && said.contains("thinkphp3"), "{said}");
}
