//! Dates of client tokens and lives of sessions, by a clock that the tests move.

mod support;

use std::time::Duration;

use support::apps::{MVC, Site};
use support::backend::FakeBackend;
use support::caller::{Caller, mvc};
use support::gate::Gate;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// 2026-11-20T00:00:00Z
const MIDNIGHT: u64 = 1_795_132_800;

async fn lives(caller: &Caller) -> bool {
    let reply = caller.get("message/box/poll").await;
    assert!(reply.status == 200 || reply.reason() == "user_refused", "{reply:?}");
    reply.status == 200
}

#[tokio::test]
async fn near_midnight_both_days_pass_and_nowhere_else() {
    let backend = FakeBackend::start().await;
    let gate = Gate::with(MVC).upstream(&backend.url).start().await;
    let target = |date: &str| {
        let token = support::caller::md5_token("news/list/index", date, "s3cret");
        format!("{}&client_id=ios&api_token={token}", mvc("news/list/index"))
    };
    for (second, yesterday, today) in [
        (MIDNIGHT - 3600, true, false),
        (MIDNIGHT - 360, true, false),
        (MIDNIGHT - 240, true, true),
        (MIDNIGHT + 240, true, true),
        (MIDNIGHT + 360, false, true),
        (MIDNIGHT + 12 * 3600, false, true),
    ] {
        gate.move_to(second);
        for (date, passes) in
            [("2026-11-18", false), ("2026-11-19", yesterday), ("2026-11-20", today), ("2026-11-21", false)]
        {
            let reply = gate.get(&target(date)).await;
            assert_eq!(reply.status == 200, passes, "{date} at {second}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn dates_are_those_of_the_configured_zone() {
    let backend = FakeBackend::start().await;
    let yaml = format!("{MVC}\ntime: {{zone: Asia/Shanghai, skew: 1m}}\n");
    let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
    // Ten in the evening in London is six in the morning of the next day in Shanghai.
    gate.move_to(MIDNIGHT - 2 * 3600);
    let ios = gate.client("ios", "s3cret");
    ios.get("news/list/index").await.assert_refused(401, "client_refused");
    ios.zone("Asia/Shanghai").get("news/list/index").await.assert_passed();
}

#[tokio::test]
async fn a_template_of_a_client_may_leave_the_date_out() {
    let backend = FakeBackend::start().await;
    let yaml =
        MVC.replace("secret: s3cret}", "secret: s3cret, token: \"{module}-{action}-{secret}\", date_format: \"\"}");
    let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
    let token = support::caller::md5_token("news-index-s3cret", "", "");
    gate.get(&format!("{}&client_id=ios&api_token={token}", mvc("news/list/index"))).await.assert_passed();
    gate.client("ios", "s3cret").get("news/list/index").await.assert_refused(401, "client_refused");
}

#[tokio::test]
async fn every_accepted_request_pushes_the_expiry_forward() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    for _ in 0..5 {
        site.gate.clock.advance(HOUR + 50 * MINUTE);
        lilei.get("user/info/get").await.assert_passed();
    }
    site.gate.clock.advance(2 * HOUR + 2 * MINUTE);
    lilei.get("user/info/get").await.assert_refused(401, "user_refused");
}

#[tokio::test]
async fn a_session_ends_never_earlier_than_idle_after_its_last_use() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    // The second use comes so soon that the store need not be told of it at once; it counts all the same.
    site.gate.clock.advance(Duration::from_secs(30));
    lilei.get("user/info/get").await.assert_passed();
    site.gate.clock.advance(2 * HOUR - Duration::from_secs(5));
    assert!(lives(&lilei).await);
    site.gate.clock.advance(MINUTE + Duration::from_secs(10));
    assert!(!lives(&lilei).await, "and at most `extend_every` later");
}

#[tokio::test]
async fn no_use_carries_a_session_past_its_greatest_age() {
    let php = support::php::Php::application("mvc");
    let yaml = format!("{MVC}\nsession: {{idle: 2h, max_age: 5h}}\n");
    let gate = Gate::with(&yaml).upstream(&php.url).start().await;
    let lilei = gate.client("ios", "s3cret").logged_in("lilei").await;
    for _ in 0..4 {
        gate.clock.advance(HOUR);
        lilei.get("user/info/get").await.assert_passed();
    }
    gate.clock.advance(HOUR + MINUTE);
    lilei.get("user/info/get").await.assert_refused(401, "user_refused");
}

#[tokio::test]
async fn a_rule_that_does_not_extend_checks_alone() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    for _ in 0..11 {
        site.gate.clock.advance(10 * MINUTE);
        assert!(lives(&lilei).await);
    }
    site.gate.clock.advance(12 * MINUTE);
    assert!(!lives(&lilei).await);
}

#[tokio::test]
async fn a_refused_request_extends_nothing() {
    let site = Site::mvc().await;
    let lilei = site.ios().logged_in("lilei").await;
    let stranger = site.android().with(lilei.session().clone());
    site.gate.clock.advance(HOUR + 30 * MINUTE);
    stranger.get("user/info/get").await.assert_refused(403, "wrong_channel");
    site.gate.clock.advance(HOUR);
    assert!(!lives(&lilei).await);
}

/// The api_token of that day opens `news/list/index`.
async fn opens(gate: &Gate, date: &str) -> bool {
    let token = support::caller::md5_token("news/list/index", date, "s3cret");
    let reply = gate.get(&format!("{}&client_id=ios&api_token={token}", mvc("news/list/index"))).await;
    assert!(reply.status == 200 || reply.reason() == "client_refused", "{reply:?}");
    reply.status == 200
}

#[tokio::test]
async fn days_turn_by_the_zones_own_clock() {
    let backend = FakeBackend::start().await;
    // Each moment is the first of that day in its zone; there the clocks of Cairo and Santiago jump over midnight.
    for (zone, midnight, before, after) in [
        ("UTC", "2028-02-29T00:00:00Z", "2028-02-28", "2028-02-29"),
        ("Asia/Shanghai", "2026-12-31T16:00:00Z", "2026-12-31", "2027-01-01"),
        ("Asia/Kathmandu", "2026-11-20T18:15:00Z", "2026-11-20", "2026-11-21"),
        ("America/New_York", "2026-11-01T04:00:00Z", "2026-10-31", "2026-11-01"),
        ("Africa/Cairo", "2026-04-23T22:00:00Z", "2026-04-23", "2026-04-24"),
        ("Pacific/Kiritimati", "2026-11-19T10:00:00Z", "2026-11-19", "2026-11-20"),
    ] {
        let midnight: jiff::Timestamp = midnight.parse().expect("a moment");
        let midnight = u64::try_from(midnight.as_second()).expect("after 1970");
        for skew in [0, 5 * 60, 2 * 3600] {
            let yaml = format!("{MVC}\ntime: {{zone: {zone}, skew: {skew}s}}\n");
            let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
            for (second, passing) in [
                (midnight - skew - 2, vec![before]),
                (midnight - 1 - skew / 2, if skew == 0 { vec![before] } else { vec![before, after] }),
                (midnight + skew / 2, if skew == 0 { vec![after] } else { vec![before, after] }),
                (midnight + skew + 1, vec![after]),
            ] {
                for date in [before, after] {
                    gate.move_to(second);
                    assert_eq!(
                        opens(&gate, date).await,
                        passing.contains(&date),
                        "{date} in {zone} ± {skew} at {second}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn dates_are_written_as_the_client_writes_them() {
    let backend = FakeBackend::start().await;
    for (format, date) in [
        ("%Y%m%d", "20261120"),
        ("%d.%m.%y", "20.11.26"),
        ("%Y-%m-%d %H", "2026-11-20 09"),
        ("%s", "1795165200"),
        ("", ""),
    ] {
        let yaml = MVC.replace("secret: s3cret}", &format!("secret: s3cret, date_format: \"{format}\"}}"));
        let yaml = format!("{yaml}\ntime: {{skew: 0s}}\n");
        let gate = Gate::with(&yaml).upstream(&backend.url).start().await;
        gate.move_to(MIDNIGHT + 9 * 3600);
        assert!(opens(&gate, date).await, "{format}");
        assert!(format.is_empty() || !opens(&gate, "").await, "{format}");
    }
}

/// The first second of a year, where its date changes, in zones on both sides of Greenwich.
#[tokio::test]
async fn a_clock_that_steps_over_the_end_of_a_year_lets_nobody_in_late_and_throws_nobody_out() {
    for (zone, newyear) in [
        ("UTC", "2027-01-01T00:00:00Z"),
        ("Asia/Shanghai", "2026-12-31T16:00:00Z"),
        ("America/New_York", "2027-01-01T05:00:00Z"),
    ] {
        let backend = FakeBackend::answering(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n{\"code\":1,\"data\":{\"uid\":\"7\"}} ",
        )
        .await;
        let gate =
            Gate::with(&format!("{MVC}\ntime: {{zone: {zone}, skew: 5m}}\n")).upstream(&backend.url).start().await;
        let newyear: jiff::Timestamp = newyear.parse().expect("a moment");
        let newyear = u64::try_from(newyear.as_second()).expect("after 1970");
        gate.move_to(newyear - 1);
        let lilei = gate.client("ios", "s3cret").zone(zone).logged_in("lilei").await;
        let old = mvc("news/list/index");
        let token = |date: &str| support::caller::md5_token("news/list/index", date, "s3cret");
        let with = |date: &str| gate.get(&format!("{old}&client_id=ios&api_token={}", token(date)));
        // 301 seconds on, within the year and back again, an hour back: as a clock steps that is set right.
        for (second, old_year, new_year) in [
            (newyear + 299, true, true),
            (newyear + 301, false, true),
            (newyear - 1, true, true),
            (newyear - 301, true, false),
            (newyear - 3601, true, false),
            (newyear + 1, true, true),
        ] {
            gate.move_to(second);
            assert!(lives(&lilei).await, "{zone}: a session of a moment ago, at {second}");
            for (date, passes) in [("2026-12-31", old_year), ("2027-01-01", new_year), ("2027-12-31", false)] {
                assert_eq!(with(date).await.status == 200, passes, "{zone}: {date} at {second}");
            }
        }
        // Forward by more than the session may idle it is over, and a clock that goes back does not bring it back for long.
        gate.move_to(newyear + 3 * 3600);
        assert!(!lives(&lilei).await, "{zone}");
    }
}
