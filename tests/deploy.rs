//! Every configuration in `deploy/` and in the documents is one that the gate accepts, and nothing in `deploy/` leaves a way past the gate.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::fs;
use std::process::Command;

use serde_json::Value;

#[test]
fn a_configuration_with_a_fault_would_be_noticed() {
    let (accepted, said) = check("listen: 0.0.0.0:8080\nno_such_key: 1\n");
    assert!(!accepted, "{said}");
}

#[test]
fn the_configuration_beside_compose_is_accepted() {
    assert_accepted("deploy/compose/ticketgate.yaml", &read("deploy/compose/ticketgate.yaml"));
}

#[test]
fn every_recipe_is_a_dozen_lines_at_most_that_are_accepted_without_a_warning() {
    let wanted = "codeigniter3 discuz dokuwiki ecshop laravel mediawiki phpmyadmin roundcube thinkphp3 thinkphp5 typecho wordpress yii1";
    let folder = format!("{}/deploy/recipes", env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().replace(".yaml", ""))
        .collect();
    names.sort();
    assert_eq!(names.join(" "), wanted);
    for name in names {
        let name = format!("deploy/recipes/{name}.yaml");
        let text = read(&name);
        let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
        assert!(lines.count() <= 12, "{name} is longer");
        let (accepted, said) = check(&text);
        assert!(accepted && said.contains(", 0 warnings"), "{name}:\n{said}");
    }
}

#[test]
fn the_configuration_of_the_kubernetes_config_map_is_accepted() {
    let manifests = yaml("deploy/kubernetes/sidecar.yaml");
    let maps = manifests.iter().filter(|manifest| manifest["kind"] == "ConfigMap");
    let texts: Vec<&str> = maps.filter_map(|map| map["data"]["ticketgate.yaml"].as_str()).collect();
    assert_eq!(texts.len(), 1);
    for text in texts {
        assert_accepted("deploy/kubernetes/sidecar.yaml", text);
    }
}

#[test]
fn the_configuration_that_the_helm_chart_starts_with_is_accepted() {
    let values = &yaml("deploy/helm/ticketgate/values.yaml")[0];
    assert_accepted("deploy/helm/ticketgate/values.yaml", values["config"].as_str().unwrap());
}

#[test]
fn the_chart_and_the_image_name_the_version_of_the_package() {
    let chart = &yaml("deploy/helm/ticketgate/Chart.yaml")[0];
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!((chart["version"].as_str(), chart["appVersion"].as_str()), (Some(version), Some(version)));
    for file in ["deploy/helm/ticketgate/values.yaml", "deploy/kubernetes/sidecar.yaml", "deploy/compose.yaml"] {
        assert!(read(file).contains(&format!("ticketgate:{version}")), "{file}");
    }
}

#[test]
fn whole_configurations_in_the_documents_are_accepted() {
    for file in ["README.md", "README.zh-CN.md"] {
        let text = read(file);
        let blocks = text.split("\n```yaml\n").skip(1).filter_map(|rest| rest.split("\n```").next());
        let whole: Vec<&str> = blocks.filter(|block| block.starts_with("listen:")).collect();
        assert!(!whole.is_empty(), "{file}: no configuration in it");
        for block in whole {
            assert_accepted(file, block);
        }
    }
}

#[test]
fn both_readmes_show_the_same_commands_and_configuration() {
    let blocks = |file| {
        let text = read(file);
        let odd = text.split("\n```").skip(1).step_by(2).map(str::to_owned);
        odd.filter(|block| block.starts_with("yaml") || block.starts_with("php") || block.starts_with("js")).collect()
    };
    let (english, chinese): (Vec<String>, Vec<String>) = (blocks("README.md"), blocks("README.zh-CN.md"));
    assert_eq!(english.len(), 3);
    assert_eq!(english, chinese);
}

#[test]
fn compose_publishes_the_gate_and_nothing_else() {
    let compose = &yaml("deploy/compose.yaml")[0];
    for (name, service) in compose["services"].as_object().unwrap() {
        assert_eq!(service.get("ports").is_some(), name == "gate", "{name}");
        let outside = service["networks"].as_array().unwrap().contains(&Value::from("outside"));
        assert_eq!(outside, name == "gate", "{name}");
    }
    assert_eq!(compose["networks"]["inside"]["internal"], true);
}

#[test]
fn kubernetes_lets_nothing_reach_php_and_probes_the_admin_listener() {
    let manifests = yaml("deploy/kubernetes/sidecar.yaml");
    let of_kind = |kind: &str| manifests.iter().find(|manifest| manifest["kind"] == kind).unwrap();
    let ports = &of_kind("NetworkPolicy")["spec"]["ingress"][0]["ports"];
    assert_eq!(ports.as_array().unwrap().len(), 1);
    assert_eq!(ports[0]["port"], 8080);
    let pod = &of_kind("Deployment")["spec"]["template"]["spec"];
    let (gate, php) = (&pod["initContainers"][0], &pod["containers"][0]);
    assert_eq!(
        (gate["restartPolicy"].as_str(), gate["readinessProbe"]["httpGet"]["port"].as_str()),
        (Some("Always"), Some("admin"))
    );
    assert!(gate.get("ports").is_some() && php.get("ports").is_none());
    let apache = manifests.iter().find(|manifest| manifest["metadata"]["name"] == "legacy-apache").unwrap();
    assert_eq!(apache["data"]["ports.conf"], "Listen 127.0.0.1:8081\n");
}

fn assert_accepted(name: &str, text: &str) {
    let (accepted, said) = check(text);
    assert!(accepted, "{name}:\n{said}");
}

/// Runs `ticketgate check` on a text, with the environment that the deployments give.
fn check(text: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ticketgate.yaml");
    fs::write(&file, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ticketgate"))
        .args(["check", "-c"])
        .arg(&file)
        .env("TICKETGATE_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
        .env("APP_SECRET", "Kx9fQ2mT7bLp4WvZ1dRs")
        .env("IOS_SECRET", "Kx9fQ2mT7bLp4WvZ1dRs")
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn yaml(name: &str) -> Vec<Value> {
    let text = read(name);
    text.split("\n---\n").map(|document| serde_yaml::from_str(document).unwrap()).collect()
}

fn read(name: &str) -> String {
    fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}
