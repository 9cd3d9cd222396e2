//! Which endpoint a request names: every kind of source, alone and together. What a request names is seen from the token that
//! opens it.

mod support;

use support::backend::FakeBackend;
use support::gate::Gate;
use support::naming::{Case, FORM, name};

const QUERY: &str = "endpoint: [{query: {module: mod, controller: ctl, action: act}}]";

#[tokio::test]
async fn a_query_names_the_parts_as_php_decodes_them() {
    name(
        QUERY,
        &[
            ("/?mod=user&ctl=info&act=get", "user/info/get"),
            ("/anything/at/all?act=get&ctl=info&mod=user", "user/info/get"),
            ("/?mod=User&ctl=INFO&act=gEt", "User/INFO/gEt"),
            ("/?%6dod=%75ser&ctl=info&act=get", "user/info/get"),
            ("/?+mod=user&ctl=info&act=get", "user/info/get"),
            ("/?mod=user_a-1&ctl=info&act=get", "user_a-1/info/get"),
            ("/?mod=%E6%96%B0%E9%97%BB&ctl=a&act=b", "新闻/a/b"),
            ("/?mod=user", "user//"),
            ("/?act=get", "//get"),
            ("/?mod=&ctl=info", "/info/"),
            ("/?mod", "//"),
            ("/?MOD=user&ctl=info&act=get", "client_missing"),
            ("/?modd=user", "denied"),
            ("/", "denied"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_part_is_of_plain_characters() {
    let case = Case::new(QUERY).await;
    let odd =
        ["<b>info", "User%00", "a+b", "a%20b", "a.b", "a/b", "a%2fb", "%2e%2e", "a%5cb", "a%0ab", "a:b", "a~", "%25"];
    for part in odd {
        for place in ["mod", "ctl", "act"] {
            case.name(&[(&format!("/?{place}={part}"), "malformed")]).await;
        }
    }
}

#[tokio::test]
async fn a_form_names_the_parts_where_php_reads_one() {
    let case = Case::new("endpoint: [{form: {module: mod, controller: ctl, action: act}}]").await;
    case.name(&[
        ("/ <- mod=user&ctl=info&act=get", "user/info/get"),
        ("/?x=1 <- act=get&mod=us%65r&ctl=info", "user/info/get"),
        ("/?mod=user <- ctl=info&act=get", "ambiguous"),
        ("/?mod=user&ctl=info&act=get", "ambiguous"),
        ("/ <- mod=user&mod=user", "ambiguous"),
        ("/ <- x=1", "denied"),
    ])
    .await;
    let put = case.gate.request("PUT", "/").body(FORM, "mod=user&ctl=info&act=get").await;
    put.assert_refused(403, "denied");
    let json = case.gate.post("/").body("application/json", "mod=user&ctl=info&act=get").await;
    json.assert_refused(403, "denied");
}

#[tokio::test]
async fn a_request_source_reads_form_and_query_and_not_both() {
    name(
        "endpoint: [{request: {module: mod, controller: ctl, action: act}}]",
        &[
            ("/?mod=user&ctl=info&act=get", "user/info/get"),
            ("/ <- mod=user&ctl=info&act=get", "user/info/get"),
            ("/?mod=user&ctl=info <- act=get", "user/info/get"),
            ("/?mod=user&ctl=info&act=get <- act=get", "ambiguous"),
            ("/?mod=user&ctl=info&act=get <- act=del", "ambiguous"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_path_names_the_parts_by_its_template() {
    name(
        "endpoint: [{path: \"/{module}/{controller}/{action}\"}]",
        &[
            ("/user/info/get", "user/info/get"),
            ("/user/info/get/", "user/info/get"),
            ("/user/info/get?mod=x", "user/info/get"),
            ("/USER/info/%67et", "USER/info/get"),
            ("/index.php/user/info/get", "user/info/get"),
            ("/INDEX.PHP/user/info/get", "user/info/get"),
            ("/user/info/get/id/5", "denied"),
            ("/user/info", "denied"),
            ("/", "denied"),
            ("/other.php/user/info/get", "denied"),
            ("/user/%3Cb%3Einfo/get", "malformed"),
            ("/user/in%20fo/get", "malformed"),
            ("/us.er/info/get", "malformed"),
            ("/css/lib/app.css", "denied"),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_a_path_leaves_out_comes_from_the_defaults() {
    name(
        "endpoint: [{path: \"/{module}/{controller}/{action}\"}]\n\
         endpoint_defaults: {module: home, controller: index, action: main}",
        &[
            ("/", "home/index/main"),
            ("/index.php", "home/index/main"),
            ("/index.php/", "home/index/main"),
            ("/user", "user/index/main"),
            ("/user/", "user/index/main"),
            ("/user/info", "user/info/main"),
            ("/user/info/get", "user/info/get"),
            ("/user/info/get/x", "denied"),
        ],
    )
    .await;
}

#[tokio::test]
async fn further_segments_need_an_open_template() {
    name(
        "endpoint: [{path: \"/{module}/{controller}/{action}/**\"}]",
        &[
            ("/user/info/get", "user/info/get"),
            ("/user/info/get/id/5", "user/info/get"),
            ("/user/info/get/id/5.html", "user/info/get"),
            ("/user/info/get/user_id/5", "ambiguous"),
            ("/user/info/get/x-user_id", "ambiguous"),
            ("/user/info/get/a/USER_ID/5", "ambiguous"),
            ("/user/info/get/my_user_id/5", "user/info/get"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_template_may_hold_text() {
    name(
        "endpoint: [{path: \"/api/v-{module}/{action}.php\"}]\nsuffixes: any",
        &[
            ("/api/v-user/get.php", "user//get"),
            ("/API/V-user/get.PHP", "user//get"),
            ("/api/user/get.php", "denied"),
            ("/api/v-user/get", "denied"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_source_may_combine_a_path_with_parameters() {
    name(
        "endpoint: [{path: \"/{module}.php\", query: {action: act}}]\nendpoint_defaults: {action: main}\nscripts: []",
        &[
            ("/user.php?act=get", "user//get"),
            ("/user.php", "user//main"),
            ("/user.php?act=", "user//main"),
            ("/user.php <- act=get", "ambiguous"),
            ("/user.php?act=%3Cb", "malformed"),
            ("/user?act=get", "denied"),
            ("/a/user.php?act=get", "denied"),
        ],
    )
    .await;
    name(
        "endpoint: [{path: \"/{module}.php\", form: {controller: c}, query: {action: a}}]",
        &[("/user.php?a=get <- c=info", "user/info/get")],
    )
    .await;
}

#[tokio::test]
async fn a_query_may_hold_a_path() {
    let yaml = "endpoint: [{query_path: {name: s, template: \"/{module}/{controller}/{action}/**\"}}]";
    name(
        &format!("{yaml}\nendpoint_defaults: {{module: home, controller: index, action: main}}"),
        &[
            ("/?s=/user/info/get", "user/info/get"),
            ("/?s=user/info/get", "user/info/get"),
            ("/?s=user%2Finfo%2Fget", "user/info/get"),
            ("/?s=/user/info/get/", "user/info/get"),
            ("/?s=/user/info/get/id/5", "user/info/get"),
            ("/?s=/user", "user/index/main"),
            ("/?s=/", "home/index/main"),
            ("/?s=", "home/index/main"),
            ("/?s", "home/index/main"),
            ("/", "denied"),
            ("/ <- s=/user/info/get", "ambiguous"),
            ("/?s=/user/info/get&s=/user/info/get", "ambiguous"),
            ("/?s[]=/user/info/get", "ambiguous"),
            ("/?s=/user/info/get/user_id/5", "ambiguous"),
            ("/?s=//user/info/get", "malformed"),
            ("/?s=/user//get", "malformed"),
            ("/?s=/user/../get", "malformed"),
            ("/?s=/user/%2e/get", "malformed"),
            ("/?s=/user/info/get%00", "malformed"),
            ("/?s=/user%252finfo/get", "malformed"),
            ("/?s=/user/info/get?x", "malformed"),
            ("/?s=/user;a/info/get", "malformed"),
            ("/?s=/user%5cinfo/get", "malformed"),
            ("/?s=/user/in+fo/get", "malformed"),
            ("/?s=/user/in.fo/get", "malformed"),
        ],
    )
    .await;
    name(yaml, &[("/?s=/user", "malformed"), ("/?s=", "malformed")]).await;
    name(
        "endpoint: [{query_path: {name: r, template: \"/{controller}/{action}\"}}]",
        &[("/?r=user/get", "/user/get"), ("/?r=user/get/5", "malformed"), ("/?r=user", "malformed")],
    )
    .await;
    name(
        "endpoint: [{query_path: {name: r, template: \"{path}\"}}]",
        &[("/?r=user/get.php", "///user/get.php"), ("/?r=user/../get.php", "malformed")],
    )
    .await;
}

#[tokio::test]
async fn a_query_may_be_a_path_itself() {
    let nameless = "endpoint: [{query_path: {name: \"\", template: \"/{module}/{controller}/{action}\"}}]";
    name(
        nameless,
        &[
            ("/?/user/info/get", "user/info/get"),
            ("/index.php?/user/info/get&x=1", "user/info/get"),
            ("/?/user/info/get=1", "malformed"),
            ("/?/user/info/get?x=1", "malformed"),
            ("/?user/info/get", "denied"),
        ],
    )
    .await;
    name(QUERY, &[("/?/user/info/get", "ambiguous"), ("/open/a?/user/info/get", "ambiguous")]).await;
}

#[tokio::test]
async fn the_whole_path_may_be_the_action() {
    name(
        "endpoint: [{path: \"{path}\"}]\nscripts: []",
        &[("/user/get.php", "///user/get.php"), ("/", "///"), ("/A/b.PHP?x=1", "///A/b.PHP")],
    )
    .await;
}

#[tokio::test]
async fn sources_that_are_present_must_agree() {
    let yaml = "endpoint:\n\
                - {query: {module: m, controller: c, action: a}}\n\
                - {query_path: {name: s, template: \"/{module}/{controller}/{action}\"}}\n\
                - {path: \"/{module}/{controller}/{action}\"}\n\
                endpoint_defaults: {module: home, controller: index, action: main}";
    name(
        yaml,
        &[
            ("/user/info/get?s=/user/info/get&m=user&c=info&a=get", "user/info/get"),
            ("/index.php?m=user&c=info&a=get", "user/info/get"),
            ("/index.php?s=/user/info/get", "user/info/get"),
            ("/index.php?m=user", "user/index/main"),
            ("/index.php", "home/index/main"),
            ("/user/info/get?s=/user/info/del", "ambiguous"),
            ("/user/info/get?m=user", "ambiguous"),
            ("/user/info/get?s=", "ambiguous"),
            ("/?s=/user&m=user", "user/index/main"),
            ("/?s=&m=user", "ambiguous"),
            ("/?s=/user/info/get&a=del", "ambiguous"),
        ],
    )
    .await;
    name(
        "endpoint:\n- {query: {module: m, action: a}}\n- {form: {module: m, action: a}}",
        &[
            ("/?m=user&a=get", "user//get"),
            ("/ <- m=user&a=get", "user//get"),
            ("/?m=user <- a=get", "ambiguous"),
            ("/?m=user&a=get <- m=user&a=get", "ambiguous"),
        ],
    )
    .await;
}

#[tokio::test]
async fn an_empty_part_is_one_that_is_left_out() {
    let yaml = format!("{QUERY}\nendpoint_defaults: {{module: home, controller: index, action: main}}");
    name(
        &yaml,
        &[
            ("/?mod=&ctl=&act=", "home/index/main"),
            ("/?mod=", "home/index/main"),
            ("/?ctl=info", "home/info/main"),
            ("/?mod=user&act=", "user/index/main"),
            ("/", "denied"),
        ],
    )
    .await;
}

#[tokio::test]
async fn scripts_are_taken_off_before_a_path_is_matched() {
    let case = Case::new("endpoint: [{path: \"/{module}/{action}\"}]\nscripts: [/index.php, /api/entry.php]").await;
    case.name(&[
        ("/index.php/user/get", "user//get"),
        ("/api/entry.php/user/get", "user//get"),
        ("/user/get", "user//get"),
        ("/index.phpx/get", "malformed"),
        ("/index.php/index.php/get", "malformed"),
    ])
    .await;
    for target in ["/open/a", "/index.php/open/a", "/Index.php/OPEN/a", "/api/entry.php/open"] {
        case.gate.get(target).await.assert_passed();
        assert!(case.backend.last().starts_with(&format!("GET {target} HTTP/1.1\r\n")), "as spelled");
    }
    name("endpoint: [{path: \"/{module}/{action}\"}]\nscripts: []", &[("/index.php/user/get", "denied")]).await;
}

#[tokio::test]
async fn a_rule_that_names_a_script_means_what_is_behind_it() {
    let backend = FakeBackend::start().await;
    let yaml = "upstream: {url: \"{upstream}\"}\nendpoint: []\n\
                rules: [{path: \"/Index.php/a/**\", require: deny}, {path: \"/**\", require: public}]\n";
    let gate = Gate::with(yaml).upstream(&backend.url).start().await;
    for target in ["/a", "/index.php/a", "/index.php/A/b"] {
        gate.get(target).await.assert_refused(403, "denied");
    }
    gate.get("/index.php/b").await.assert_passed();
}

#[tokio::test]
async fn suffixes_are_taken_off_the_end() {
    let yaml = "endpoint:\n\
                - path: \"/{module}/{action}\"\n\
                - query_path: {name: s, template: \"/{module}/{action}\"}";
    name(
        &format!("{yaml}\nsuffixes: [.html, .do]"),
        &[
            ("/user/get.html", "user//get"),
            ("/user/get.HTML", "user//get"),
            ("/user/get.do", "user//get"),
            ("/user/get", "user//get"),
            ("/?s=/user/get.html", "user//get"),
            ("/user/get.html.html", "denied"),
            ("/user/get.php", "denied"),
            ("/user.html/get", "malformed"),
        ],
    )
    .await;
    name(
        &format!("{yaml}\nsuffixes: any"),
        &[("/user/get.anything", "user//get"), ("/user/get", "user//get"), ("/user/.php", "denied")],
    )
    .await;
}

#[tokio::test]
async fn rules_fold_parts_and_tokens_do_not() {
    let yaml = |fold: &str| {
        let rules = "[{endpoint: user_type/get-info, require: client}]";
        format!("endpoint: [{{query: {{module: m, action: a, controller: c}}}}]\nfold: {fold}\nrules: {rules}")
    };
    let base = "upstream: {url: \"{upstream}\"}\n\
                clients: [{id: ios, secret: s3cret, endpoints: [user_type/get-info]}]";
    for (fold, passing, refused) in [
        ("[case]", vec!["user_type/get-info", "User_Type/GET-INFO"], vec!["usertype/get-info", "user_type/getinfo"]),
        (
            "[case, underscore]",
            vec!["UserType/get-info", "usertype/Get-Info", "_user_type/get-info"],
            vec!["user-type/get-info", "usertype/getinfo"],
        ),
        ("[underscore]", vec!["UserType/get-info", "user_type/get-info"], vec!["user-type/get-info"]),
        ("[case, dash]", vec!["user_type/GetInfo", "user-_type/getinfo"], vec!["usertype/getinfo"]),
        ("[case, underscore, dash]", vec!["UserType/GetInfo", "user-type/get_info"], vec!["users/getinfo"]),
        ("[]", vec!["user_type/get-info"], vec!["User_type/get-info"]),
    ] {
        let backend = FakeBackend::start().await;
        let gate = Gate::with(&format!("{base}\n{}\n", yaml(fold))).upstream(&backend.url).start().await;
        let call = async |endpoint: &str| {
            let (module, controller) = endpoint.split_once('/').unwrap_or_default();
            let token = gate.client("ios", "s3cret").hmac_token(&format!("{endpoint}/x"));
            let target = format!("/?m={module}&c={controller}&a=x");
            let reply = gate.get(&target).header("X-Client-Id", "ios").header("X-Api-Token", &token).await;
            (reply.status, reply.reason().to_owned())
        };
        for endpoint in passing {
            assert_eq!(call(endpoint).await, (200, String::new()), "{fold}: {endpoint}");
        }
        for endpoint in refused {
            assert_eq!(call(endpoint).await, (403, "denied".to_owned()), "{fold}: {endpoint}");
        }
    }
}

#[tokio::test]
async fn a_rule_gives_a_path_an_endpoint_of_its_own() {
    let yaml = r#"
upstream: {url: "{upstream}"}
clients: [{id: ios, secret: s3cret, endpoints: [User/Info]}]
endpoint: []
rules:
  - {path: "/api/user_info.php", require: client, endpoint: {is: user/info/get}}
  - {path: "/api/*.php", require: client, endpoint: {is: other/thing/do}}
  - {path: "/api/**", require: user_only}
"#;
    let backend = FakeBackend::start().await;
    let gate = Gate::with(yaml).upstream(&backend.url).start().await;
    let call = async |target: &str, endpoint: &str| {
        let token = gate.client("ios", "s3cret").hmac_token(endpoint);
        gate.get(target).header("X-Client-Id", "ios").header("X-Api-Token", &token).await
    };
    call("/api/user_info.php", "user/info/get").await.assert_passed();
    call("/API/User_Info.PHP?x=1", "user/info/get").await.assert_passed();
    call("/api/user_info.php", "User/Info/Get").await.assert_refused(401, "client_refused");
    call("/api/a.php", "other/thing/do").await.assert_refused(403, "denied");
    call("/api/a/b", "other/thing/do").await.assert_refused(401, "user_missing");
}

#[tokio::test]
async fn lenient_spellings_match_under_two_stars_alone_and_go_on_as_spelled() {
    let yaml = r#"
upstream: {url: "{upstream}"}
clients: [{id: ios, secret: s3cret}]
endpoint: [{path: "/{module}/{controller}/{action}/**"}]
lenient_paths: [encoded_slash, encoded_question, encoded_percent, semicolon, double_slash, backslash]
rules:
  - {path: "/wiki/**", require: public}
  - {path: "/one/*/x", require: public}
  - {path: "/two/*/**", require: public}
  - {endpoint: "*", require: public}
"#;
    let backend = FakeBackend::start().await;
    let gate = Gate::with(yaml).upstream(&backend.url).start().await;
    for target in [
        "/wiki/a%2fb",
        "/wiki/Who%3F",
        "/wiki/100%25",
        "/wiki/a;b",
        "/wiki/a%3bb",
        "/wiki/a//b",
        "/wiki/%d5%5c",
        "/two/a/b%2fc",
        "/wiki/plain",
    ] {
        gate.get(target).await.assert_passed();
        assert!(backend.last().starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{target}: {}", backend.last());
    }
    for (target, status, reason) in [
        ("/wiki%2fa", 403, "denied"),
        ("/one/a;b/x", 400, "malformed"),
        ("/one/a%2fx", 403, "denied"),
        ("/two/a;b/c", 400, "malformed"),
        ("//wiki/a", 403, "denied"),
        ("/index.php%2fwiki/a", 403, "denied"),
        ("/user/info/get/a;b", 403, "denied"),
        ("/wiki/..%2fadmin", 400, "malformed"),
        ("/wiki/%252e%252e/a", 400, "malformed"),
        ("/wiki/a%23b", 400, "malformed"),
        ("/wiki/a%00", 400, "malformed"),
        ("/wiki/a;user_id/5", 400, "ambiguous"),
        ("/wiki/a%2fuser_id%2f5", 400, "ambiguous"),
        ("/wiki/a/%2575ser_id/5", 400, "ambiguous"),
    ] {
        let reply = gate.get(target).await;
        assert_eq!((reply.status, reply.reason()), (status, reason), "{target}: {}", reply.text());
    }
}
