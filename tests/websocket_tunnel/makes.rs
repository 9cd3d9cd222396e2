//! Clients and servers of other makes talk through a tunnel as they would without it: the client of Python's `websockets`, the server of
//! Node's `ws`, both of which compress.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const SERVER: &str = r#"
const { WebSocketServer } = require('/usr/share/nodejs/ws');
const server = new WebSocketServer({
  host: '127.0.0.1', port: 0, perMessageDeflate: { threshold: 0 }, maxPayload: 64 << 20,
  handleProtocols: (offered) => offered.has('chat') ? 'chat' : false,
});
server.on('listening', () => console.log(server.address().port));
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary, compress: data.length % 2 === 0 }));
  socket.on('close', (code, reason) => console.log(`closed ${code} ${reason}`));
});
"#;

const CLIENT: &str = r#"
import asyncio, os, random, sys
import websockets

async def main(url):
    async with websockets.connect(url, subprotocols=["superchat", "chat"], max_size=None) as socket:
        assert socket.subprotocol == "chat", socket.subprotocol
        assert [type(extension).__name__ for extension in socket.extensions] == ["PerMessageDeflate"], socket.extensions
        source = random.Random(7)
        sent = ["", "x", "grüße 登录", os.urandom(3), os.urandom(70_000), "compressible " * 20_000, source.randbytes(5 << 20)]
        async def send():
            for message in sent:
                await socket.send(message)
            await socket.send(iter(["in ", "three ", "frames"]))
        sending = asyncio.create_task(send())
        for message in [*sent, "in three frames"]:
            assert await socket.recv() == message, len(message)
        await sending
        await (await socket.ping(b"are you there"))
        await socket.close(4000, "enough")
    assert socket.close_code == 4000, socket.close_code
    print("all came back")

asyncio.run(main(sys.argv[1]))
"#;

/// A server that echoes, and its port.
async fn server() -> (Child, BufReader<tokio::process::ChildStdout>, String) {
    let mut server = Command::new("node")
        .args(["-e", SERVER])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node: see scripts/test");
    let mut lines = BufReader::new(server.stdout.take().expect("its output"));
    let mut port = String::new();
    timeout(Duration::from_secs(20), lines.read_line(&mut port)).await.expect("a port in time").expect("a port");
    (server, lines, port.trim().to_owned())
}

#[tokio::test]
async fn a_client_and_a_server_of_other_makes_do_not_notice_the_tunnel() {
    let (_server, mut told, port) = server().await;
    let gate = super::setup("", "idle: 5m").upstream(&format!("http://127.0.0.1:{port}")).start().await;
    let target = gate.client("ios", "s3cret").target("/ws/client", "chat/room/join");
    let client = Command::new("/usr/bin/python3")
        .args(["-c", CLIENT, &format!("ws://{}{target}", gate.address)])
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_secs(60), client).await.expect("an end in time").expect("python3");
    let said = String::from_utf8(output.stdout).expect("text");
    assert_eq!(said, "all came back\n", "{}", String::from_utf8(output.stderr).expect("text"));
    let mut closed = String::new();
    timeout(Duration::from_secs(20), told.read_line(&mut closed)).await.expect("a line in time").expect("a line");
    assert_eq!(closed, "closed 4000 enough\n");
}
