//! The page of the admin listener, used in a real browser.

mod support;

use std::fs;

use serde_json::{Value, json};
use support::backend::FakeBackend;
use support::browser::Browser;
use support::gate::Gate;
use support::http::Reply;

const TOKEN: &str = "operator-token-0123";
const CONFIG: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "memory:"}
admin: {listen: 127.0.0.1:0, token: {token}}
session: {idle: 90m}
clients: [{id: ios, secret: s3cret}]
endpoint: [{query: {module: mod, controller: ctl, action: act}}]
rules:
  - {path: "/assets/**", require: public}
  - {endpoint: news, require: client}
default: user
"#;
/// Text that would run if anything took it for markup.
const HOSTILE: &str = "<script>window.ran = 1</script><img src=x onerror=\"window.ran = 2\">";

const TAB: &str = "\u{E004}";
const ENTER: &str = "\u{E007}";
const ESCAPE: &str = "\u{E00C}";

/// The page of a gate, open in a browser.
struct Page {
    browser: Browser,
    gate: Gate,
    backend: FakeBackend,
}

impl Page {
    /// Not signed in; `None` where there is no browser.
    async fn open() -> Option<Self> {
        let browser = Browser::start().await?;
        let backend = FakeBackend::start().await;
        let gate = Gate::with(CONFIG).upstream(&backend.url).put("token", TOKEN).start().await;
        browser.open(&format!("http://{}/", gate.admin)).await;
        Some(Self { browser, gate, backend })
    }

    async fn signed_in() -> Option<Self> {
        let page = Self::open().await?;
        sign_in(&page.browser, TOKEN).await;
        page.browser.wait_for("#overview .cards", "Store").await;
        Some(page)
    }

    /// Opens one of the views.
    async fn view(&self, name: &str) {
        self.browser.click(&format!("nav a[href='#{name}']")).await;
        self.browser.wait_until(&format!("!document.getElementById('{name}').hidden")).await;
    }

    /// The admin API, asked as the operator.
    async fn api(&self, method: &str, path: &str, body: Value) -> Reply {
        let request =
            self.gate.admin(method, &format!("/api/v1{path}")).header("Authorization", &format!("Bearer {TOKEN}"));
        let reply = request.body("application/json", body.to_string()).await;
        assert!(reply.status < 300, "{}", reply.text());
        reply
    }

    /// Presses the button of those within `selector` that shows, or is said to be, `label`.
    async fn press(&self, selector: &str, label: &str) {
        let same = format!(
            "(button) => [button.innerText.trim(), button.getAttribute('aria-label')].includes({})",
            json!(label)
        );
        let find = format!("[...document.querySelectorAll(`{selector} button`)].find({same})");
        self.browser.wait_until(&format!("!!{find}")).await;
        self.browser
            .run(&format!(
                "document.querySelector('[data-press]')?.removeAttribute('data-press'); {find}.dataset.press = ''"
            ))
            .await;
        self.browser.click("[data-press]").await;
    }

    async fn has_focus(&self, selector: &str) {
        let selector = json!(selector);
        self.browser.wait_until(&format!("document.activeElement.matches({selector})")).await;
    }

    /// Nothing was complained of: neither by the policy nor by a script. What is refused on purpose shows as a failed load.
    async fn assert_clean(&self) {
        let complaints = self.browser.console().await;
        let real = |line: &&String| !line.starts_with("DEBUG") && !line.contains("Failed to load resource");
        assert_eq!(complaints.iter().filter(real).collect::<Vec<_>>(), Vec::<&String>::new());
    }
}

async fn sign_in(browser: &Browser, token: &str) {
    browser.fill("#token", token).await;
    browser.click("#entry button").await;
}

#[tokio::test]
async fn a_token_opens_the_page_and_stands_nowhere_in_it() {
    let Some(page) = Page::open().await else { return };
    let browser = &page.browser;
    sign_in(browser, "wrong-token-4567").await;
    browser.wait_for("#entry-problem", "does not fit").await;
    assert_eq!(browser.run("return document.querySelector('nav').hidden").await, true);
    sign_in(browser, TOKEN).await;
    browser.wait_for("#overview .cards", "It answers.").await;
    for view in ["refusals", "clients", "sessions", "config", "overview"] {
        page.view(view).await;
        browser.wait_until(&format!("location.hash === '#{view}'")).await;
    }
    let everywhere =
        "return JSON.stringify([location.href, document.cookie, {...localStorage}, {...sessionStorage}, history.state,
        document.documentElement.outerHTML, [...document.querySelectorAll('input')].map((input) => input.value),
        performance.getEntries().map((entry) => entry.name)])";
    let everywhere = browser.run(everywhere).await.as_str().unwrap().to_owned();
    assert!(everywhere.contains("/api/v1/refusals") && everywhere.contains("/metrics"), "{everywhere}");
    for token in [TOKEN, "wrong-token-4567"] {
        assert!(!everywhere.contains(token), "{everywhere}");
    }
    page.assert_clean().await;

    page.press(".bar", "Sign out").await;
    browser.wait_until("!document.getElementById('entry').hidden").await;
    assert_eq!(browser.run("return document.querySelector('#overview').childElementCount").await, 0);
    sign_in(browser, TOKEN).await;
    browser.wait_for("#overview .cards", "Store").await;
    // It was in memory alone.
    browser.open(&format!("http://{}/", page.gate.admin)).await;
    browser.run("location.reload()").await;
    browser.wait_for("#entry", "Sign in").await;
    page.assert_clean().await;
}

#[tokio::test]
async fn the_browser_stops_what_is_not_the_pages_own_and_says_so() {
    let Some(page) = Page::signed_in().await else { return };
    let browser = &page.browser;
    page.assert_clean().await;
    let markup = "try { document.body.innerHTML = '<b>x</b>'; return 'done' } catch (error) { return error.name }";
    assert_eq!(browser.run(markup).await, "TypeError");
    let elsewhere = page.backend.url.as_str();
    let fetched = format!("return fetch('{elsewhere}').then(() => 'done', (error) => error.name)");
    assert_eq!(browser.run(&fetched).await, "TypeError");
    let script = "const script = document.createElement('style'); script.textContent = 'nav { color: red }'; document.body.append(script)";
    browser.run(script).await;
    let complaints = browser.console().await.join("\n");
    for policy in ["connect-src 'self'", "style-src 'self'", "TrustedHTML"] {
        assert!(complaints.contains(policy), "{policy} in {complaints}");
    }
    assert!(
        !page.backend.requests().iter().any(|request| request.contains("Origin:")),
        "nothing was asked for elsewhere"
    );
}

#[tokio::test]
async fn what_comes_from_outside_shows_as_text() {
    let Some(page) = Page::signed_in().await else { return };
    let browser = &page.browser;
    page.api("POST", "/clients", json!({"id": HOSTILE, "name": HOSTILE})).await;
    let session = json!({"ip": "203.0.113.9", "user_agent": format!("{HOSTILE} Android"), "client_id": HOSTILE});
    page.api("POST", &format!("/users/{}/sessions", support::http::escape(HOSTILE)), session).await;
    let target =
        "/x?mod=%3Cscript%3E&name=<script>window.ran=3</script>&user_id=1&user_id[<img/src=x/onerror=window.ran=4>]=2";
    page.gate.get(target).await;

    page.view("clients").await;
    browser.wait_for("#clients tbody", HOSTILE).await;
    page.press("#clients", &format!("Disable: {HOSTILE}")).await;
    browser.wait_for("dialog", &format!("Disable {HOSTILE}?")).await;
    page.press("dialog", "Disable").await;
    browser.wait_for("#clients tbody", "disabled").await;
    page.view("sessions").await;
    browser.fill("#user", HOSTILE).await;
    page.press("#sessions", "Show sessions").await;
    browser.wait_for("#sessions tbody", HOSTILE).await;
    browser.wait_for("#sessions h2", HOSTILE).await;
    page.view("refusals").await;
    browser.wait_for("#refusals tbody", "<script>window.ran=3</script>").await;

    assert_eq!(browser.run("return window.ran ?? null").await, Value::Null);
    assert_eq!(browser.run("return document.querySelectorAll('main script, main img, dialog img').length").await, 0);
    page.assert_clean().await;
}

#[tokio::test]
async fn clients_are_registered_rotated_disabled_and_removed() {
    let Some(page) = Page::signed_in().await else { return };
    let browser = &page.browser;
    let secret = "return document.getElementById('secret').value";
    let text = |value: Value| value.as_str().unwrap().to_owned();
    page.view("clients").await;
    browser.wait_for("#clients tbody tr", "Changed in the file.").await;

    browser.click("#register").await;
    browser.fill("#field-id", "ios").await;
    page.press("dialog", "Register").await;
    browser.wait_for("dialog .problem", "client `ios` stands in the configuration file").await;
    browser.fill("#field-id", "robot").await;
    browser.fill("#field-name", "A robot").await;
    page.press("dialog", "Register").await;
    browser.wait_for("dialog .warning", "shown this one time").await;
    let first = text(browser.run(secret).await);
    assert_eq!(first.len(), 20);
    page.press("dialog", "Copy").await;
    browser.wait_for("dialog [role=status]", "Cop").await;
    browser.press(ESCAPE).await;
    browser.press(ESCAPE).await;
    assert_eq!(text(browser.run(secret).await), first, "a key pressed by mistake loses no secret");
    page.press("dialog", "I have kept it").await;
    browser.wait_for("#clients tbody", "A robot").await;
    browser.wait_until("!document.getElementById('dialog').open").await;
    let shown = text(browser.run("return document.documentElement.outerHTML").await);
    assert!(!shown.contains(&first), "it is gone with its dialog");
    page.gate.client("robot", &first).get("news/list/index").await.assert_passed();

    page.press("#clients", "Rotate: robot").await;
    browser.fill("#field-keep_old", "soon").await;
    page.press("dialog", "Rotate").await;
    browser.wait_for("dialog .problem", "must be a duration").await;
    browser.fill("#field-keep_old", "24h").await;
    page.press("dialog", "Rotate").await;
    browser.wait_for("dialog .warning", "shown this one time").await;
    let second = text(browser.run(secret).await);
    page.press("dialog", "I have kept it").await;
    browser.wait_for("#clients tbody", "old secret until").await;
    for secret in [&first, &second] {
        page.gate.client("robot", secret).get("news/list/index").await.assert_passed();
    }

    let robot = page.gate.client("robot", &second);
    page.press("#clients", "Disable: robot").await;
    page.press("dialog", "Cancel").await;
    robot.get("news/list/index").await.assert_passed();
    page.press("#clients", "Disable: robot").await;
    page.press("dialog", "Disable").await;
    browser.wait_for("#clients tbody", "disabled").await;
    robot.get("news/list/index").await.assert_refused(401, "client_refused");
    page.press("#clients", "Enable: robot").await;
    browser.wait_until("!document.querySelector('#clients tbody').innerText.includes('disabled')").await;
    robot.get("news/list/index").await.assert_passed();
    page.press("#clients", "Remove: robot").await;
    browser.wait_for("dialog", "cannot be undone").await;
    page.press("dialog", "Remove").await;
    browser.wait_until("!document.querySelector('#clients tbody').innerText.includes('robot')").await;
    robot.get("news/list/index").await.assert_refused(401, "client_refused");
    page.assert_clean().await;
}

#[tokio::test]
async fn sessions_of_a_user_are_shown_and_ended() {
    let Some(page) = Page::signed_in().await else { return };
    let browser = &page.browser;
    for (ip, user_agent) in
        [("203.0.113.9", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5)"), ("2001:db8::42", "okhttp/4.12.0")]
    {
        page.api("POST", "/users/a%2F7/sessions", json!({"ip": ip, "user_agent": user_agent, "client_id": "ios"}))
            .await;
    }
    page.view("sessions").await;
    browser.fill("#user", "nobody").await;
    page.press("#sessions", "Show sessions").await;
    browser.wait_for("#sessions", "User nobody is not logged in anywhere.").await;
    browser.fill("#user", "a/7").await;
    page.press("#sessions", "Show sessions").await;
    let shown = browser.wait_for("#sessions tbody", "iPhone").await;
    for part in ["203.0.113.9", "CPU iPhone OS 17_5", "2001:db8::42", "okhttp/4.12.0", "ios", "ago"] {
        assert!(shown.contains(part) || part == "ago" && shown.contains("now"), "{part} in {shown}");
    }
    page.press("#sessions", "End the session: iPhone 203.0.113.9").await;
    browser.wait_for("dialog", "203.0.113.9").await;
    page.press("dialog", "Cancel").await;
    page.press("#sessions", "End the session: iPhone 203.0.113.9").await;
    page.press("dialog", "End").await;
    browser.wait_until("document.querySelectorAll('#sessions tbody tr').length === 1").await;
    browser.wait_for("#sessions tbody", "okhttp").await;
    let left = page.api("GET", "/users/a%2F7/sessions", json!({})).await;
    assert_eq!(left.at("/sessions").as_array().unwrap().len(), 1);
    page.press("#sessions", "End all").await;
    page.press("dialog", "End all").await;
    browser.wait_for("#sessions", "User a/7 is not logged in anywhere.").await;
    assert_eq!(page.api("GET", "/users/a%2F7/sessions", json!({})).await.at("/sessions"), json!([]));

    // A browser takes dots out of an address.
    browser.fill("#user", "..").await;
    page.press("#sessions", "Show sessions").await;
    browser.wait_for("#sessions .problem", "ticketgate session").await;
    page.assert_clean().await;
}

#[tokio::test]
async fn rates_refusals_and_health_are_followed_while_somebody_looks() {
    let Some(page) = Page::signed_in().await else { return };
    let browser = &page.browser;
    for _ in 0..20 {
        page.gate.get("/assets/a.css").await.assert_passed();
    }
    for _ in 0..3 {
        page.gate.get("/?mod=news&ctl=list&act=index").await.assert_refused(401, "client_missing");
    }
    let rate = |tile: &str| format!("parseFloat(document.querySelector('[data-tile={tile}] .value').innerText) > 0");
    for tile in ["all", "forwarded", "refused", "took"] {
        browser.wait_until(&rate(tile)).await;
    }
    let row = browser.wait_for("#overview tbody tr", "client_missing").await;
    assert!(row.contains("news") && row.contains('3'), "{row}");
    browser.wait_until("document.querySelector('.line.passed').getAttribute('points').includes(' ')").await;

    page.view("refusals").await;
    let row = browser.wait_for("#refusals tbody tr", "client_missing").await;
    assert!(row.contains("GET /?mod=news") && row.contains("127.0.0.1") && row.contains("401"), "{row}");
    browser.wait_for("#refusals .reasons", "a client that does not know the gate yet").await;
    // A new one comes by itself, and a reason leaves only its own.
    page.gate.get("/a?user_id=1&user_id=2").await.assert_refused(400, "ambiguous");
    browser.wait_for("#refusals tbody", "ambiguous").await;
    browser.click("[data-focus='reason ambiguous']").await;
    browser.wait_until("document.querySelectorAll('#refusals tbody tr').length === 1").await;
    browser.click("[data-focus='reason ambiguous']").await;
    browser.fill("#refusals-search", "mod=news").await;
    browser.wait_until("document.querySelectorAll('#refusals tbody tr').length === 3").await;

    // Who does not see the page has nothing asked for.
    let seen = |hidden: bool| {
        format!(
            "Object.defineProperty(document, 'hidden', {{get: () => {hidden}, configurable: true}}); document.dispatchEvent(new Event('visibilitychange'))"
        )
    };
    let asked = "return performance.getEntriesByType('resource').length";
    browser.run(&seen(true)).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let before = browser.run(asked).await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert_eq!(browser.run(asked).await, before);
    browser.run(&seen(false)).await;
    browser.wait_until(&format!("performance.getEntriesByType('resource').length > {before}")).await;

    page.view("overview").await;
    drop(page.backend);
    browser.wait_for("[data-part=upstream]", "Attention.").await;
    browser.wait_for("#standing", "Not ready").await;
    page.gate.stop().await;
    browser.wait_for("#overview .problem", "The gate does not answer.").await;
    browser.wait_for("#standing", "No answer").await;
}

#[tokio::test]
async fn the_configuration_is_shown_and_a_bad_file_is_told() {
    let Some(browser) = Browser::start().await else { return };
    let gate = Gate::with(CONFIG).upstream("http://127.0.0.1:1").put("token", TOKEN).process().await;
    browser.open(&format!("http://{}/", gate.admin)).await;
    sign_in(&browser, TOKEN).await;
    browser.click("nav a[href='#config']").await;
    browser.wait_for("#config dl", "session").await;
    let whole = browser.run("return document.querySelector('#config dl').textContent").await.to_string();
    assert!(whole.contains("[redacted]") && !whole.contains("s3cret") && !whole.contains(TOKEN), "{whole}");

    let file = gate.file("ticketgate.yaml");
    let yaml = fs::read_to_string(&file).unwrap();
    fs::write(&file, yaml.replace("90m", "soon")).unwrap();
    browser.click("#reload").await;
    browser.wait_for("#config .problem", "session.idle: must be a duration").await;
    browser.click("nav a[href='#overview']").await;
    browser.wait_for("[data-part=config]", "an older configuration is in force").await;
    browser.click("nav a[href='#config']").await;
    // The gate may have noticed by itself that the file changed: then nothing differs from what is in force.
    fs::write(&file, yaml.replace("90m", "80m")).unwrap();
    browser.click("#reload").await;
    browser.wait_for("#config .done", "").await;
    browser.wait_until("document.querySelector('#config dl').textContent.includes('80m')").await;
}

#[tokio::test]
async fn everything_can_be_done_with_the_keyboard_alone() {
    let Some(page) = Page::open().await else { return };
    let browser = &page.browser;
    page.has_focus("#token").await;
    browser.press(&format!("{TOKEN}{ENTER}")).await;
    page.has_focus("#overview-title").await;
    // Back over the views to the one of the clients, which is the third of five.
    let shown = "getComputedStyle(document.activeElement)";
    browser.run("document.querySelector('.skip').focus()").await;
    for _ in 0..6 {
        browser.press(TAB).await;
        let width =
            browser.run(&format!("return parseFloat({shown}.outlineWidth) * ({shown}.outlineStyle !== 'none')")).await;
        assert!(width.as_f64().unwrap() >= 2.0, "the focus can be seen");
    }
    page.has_focus("nav a[href='#clients']").await;
    browser.press(ENTER).await;
    page.has_focus("#clients-title").await;
    browser.wait_for("#clients tbody", "ios").await;
    browser.press(&format!("{TAB}{TAB}")).await;
    page.has_focus("#register").await;
    browser.press(ENTER).await;
    page.has_focus("#field-id").await;
    browser.press(&format!("robot{ENTER}")).await;
    browser.wait_for("dialog .warning", "shown this one time").await;
    // The focus stays within the question.
    for _ in 0..8 {
        browser.press(TAB).await;
        let inside = "const active = document.activeElement; return active === document.body || document.getElementById('dialog').contains(active)";
        assert_eq!(browser.run(inside).await, true);
    }
    browser.run("document.querySelector('dialog .actions button').focus()").await;
    browser.press(ENTER).await;
    browser.wait_for("#clients tbody", "robot").await;
    page.has_focus("#register").await;
    browser.wait_for("[role=status]#said", "Client robot is registered.").await;

    // A question answered with Escape changes nothing, and gives the focus back; after a change it stays at the same control.
    browser.run("document.querySelector('[data-focus=\"switch robot\"]').focus()").await;
    browser.press(ENTER).await;
    browser.wait_for("dialog", "Disable robot?").await;
    assert_eq!(browser.run("return document.activeElement.innerText").await, "Cancel");
    browser.press(ESCAPE).await;
    page.has_focus("[data-focus='switch robot']").await;
    assert_eq!(page.api("GET", "/clients/robot", json!({})).await.at("/enabled"), true);
    browser.press(&format!("{ENTER}{TAB}{ENTER}")).await;
    browser.wait_for("#clients tbody", "disabled").await;
    page.has_focus("[data-focus='switch robot']").await;
    let unlabelled = "return [...document.querySelectorAll('input')].filter((input) => input.labels.length === 0).map((input) => input.id)";
    assert_eq!(browser.run(unlabelled).await, json!([]));
    page.assert_clean().await;
}

#[tokio::test]
async fn the_page_speaks_two_languages_and_fits_a_phone() {
    let Some(page) = Page::open().await else { return };
    let browser = &page.browser;
    let agent = browser.run("return navigator.userAgent").await;
    browser
        .devtools("Network.setUserAgentOverride", &json!({"userAgent": agent, "acceptLanguage": "zh-CN,zh;q=0.9"}))
        .await;
    let phone = json!({"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true});
    browser.devtools("Emulation.setDeviceMetricsOverride", &phone).await;
    page.api("POST", "/clients", json!({"id": "w".repeat(60), "name": "w".repeat(200)})).await;
    page.api(
        "POST",
        "/users/7/sessions",
        json!({"ip": "2001:db8:1111:2222:3333:4444:5555:6666", "user_agent": "M".repeat(300)}),
    )
    .await;
    page.gate.get(&format!("/{}", "p".repeat(500))).await;

    browser.open(&format!("http://{}/?zh", page.gate.admin)).await;
    browser.wait_for("#entry", "管理令牌").await;
    assert_eq!(browser.run("return document.documentElement.lang").await, "zh-CN");
    sign_in(browser, "wrong-token-4567").await;
    browser.wait_for("#entry-problem", "令牌不对").await;
    sign_in(browser, TOKEN).await;
    browser.wait_for("#overview .cards", "存储").await;
    for (view, words) in [
        ("overview", "概览"),
        ("refusals", "拒绝记录"),
        ("clients", "更换密钥"),
        ("sessions", "会话"),
        ("config", "重新载入文件"),
    ] {
        page.view(view).await;
        if view == "sessions" {
            browser.fill("#user", "7").await;
            page.press("#sessions", "查看会话").await;
            browser.wait_for("#sessions tbody", "MMMM").await;
        }
        browser.wait_for(&format!("#{view}"), words).await;
        let wider = "return document.documentElement.scrollWidth - window.innerWidth";
        assert!(browser.run(wider).await.as_f64().unwrap() <= 0.0, "{view} does not fit");
    }
    page.press(".languages", "English").await;
    browser.wait_for("#config h1", "Configuration").await;
    assert_eq!(browser.run("return document.documentElement.lang").await, "en");
    // What was chosen holds, whatever the browser says.
    browser.open(&format!("http://{}/?en", page.gate.admin)).await;
    browser.wait_for("#entry", "Admin token").await;
    page.assert_clean().await;
}

#[tokio::test]
async fn who_holds_a_token_that_was_replaced_signs_in_anew() {
    let Some(mut page) = Page::signed_in().await else { return };
    page.view("refusals").await;
    let renewed = Gate::with(CONFIG).upstream(&page.backend.url).put("token", "another-token-89");
    page.gate.take_up(&renewed).unwrap();
    page.browser.wait_for("#entry-problem", "it may have been replaced").await;
    page.has_focus("#token").await;
    sign_in(&page.browser, "another-token-89").await;
    page.browser.wait_for("#refusals h1", "Refusals").await;
    page.assert_clean().await;
}
