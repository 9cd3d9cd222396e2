use super::*;

fn read(decoder: &mut Decoder, hex: &str) -> Result<Vec<String>, Unreadable> {
    let block = hex::decode(hex.replace(' ', "")).unwrap();
    let mut fields = Vec::new();
    decoder.read(&block, |name, value| fields.push(format!("{}: {}", name.escape_ascii(), value.escape_ascii())))?;
    Ok(fields)
}

/// RFC 7541, C.3 and C.4: the same requests, plain and in Huffman's code.
#[test]
fn the_requests_of_the_rfc_are_read() {
    let plain = [
        "828684410f7777772e6578616d706c652e636f6d",
        "828684be58086e6f2d6361636865",
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
    ];
    let coded = [
        "828684418cf1e3c2e5f23a6ba0ab90f4ff",
        "828684be5886a8eb10649cbf",
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    ];
    for blocks in [plain, coded] {
        let mut decoder = Decoder::default();
        let first = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
        assert_eq!(read(&mut decoder, blocks[0]).unwrap(), first);
        assert_eq!(decoder.size, 57);
        assert_eq!(read(&mut decoder, blocks[1]).unwrap(), [&first[..], &["cache-control: no-cache"]].concat());
        assert_eq!(decoder.size, 110);
        let third = [
            ":method: GET",
            ":scheme: https",
            ":path: /index.html",
            ":authority: www.example.com",
            "custom-key: custom-value",
        ];
        assert_eq!(read(&mut decoder, blocks[2]).unwrap(), third);
        assert_eq!(decoder.size, 164);
    }
}

#[test]
fn older_entries_make_room() {
    let mut decoder = Decoder::default();
    // To 64 bytes: room for one entry only.
    assert_eq!(read(&mut decoder, "3f21 4001610162 4001630164").unwrap(), ["a: b", "c: d"]);
    assert_eq!(decoder.table.len(), 1);
    assert_eq!(read(&mut decoder, "be").unwrap(), ["c: d"]);
    assert_eq!(read(&mut decoder, "bf"), Err(Unreadable));
    // One that is larger than all of it empties it.
    let large = format!("400161 28{}", "78".repeat(40));
    assert_eq!(read(&mut decoder, &large).unwrap().len(), 1);
    assert_eq!((decoder.table.len(), decoder.size), (0, 0));
}

#[test]
fn a_name_may_be_that_of_an_entry_which_its_own_field_drives_out() {
    let mut decoder = Decoder::default();
    assert_eq!(read(&mut decoder, "3f21 4001610162 7e 0163").unwrap(), ["a: b", "a: c"]);
}

#[test]
fn what_is_not_indexed_leaves_nothing() {
    let mut decoder = Decoder::default();
    assert_eq!(read(&mut decoder, "0001610162 1001630164").unwrap(), ["a: b", "c: d"]);
    assert!(decoder.table.is_empty());
}

#[test]
fn what_cannot_be_read_is_told() {
    let wrong = [
        "80",               // no entry has the number 0
        "be",               // nor 62 yet
        "ff80808080808001", // a number without end
        "3fe21f",           // a table larger than ours
        "82 20",            // resized in the middle
        "4005616263",       // cut off
        "00 82ffff 00",     // the code's end symbol
        "0f",               // a number cut off
        "44",               // a value missing
    ];
    for hex in wrong {
        assert_eq!(read(&mut Decoder::default(), hex), Err(Unreadable), "{hex}");
    }
    assert_eq!(read(&mut Decoder::default(), "3fe11f 82").unwrap(), [":method: GET"]);
}

#[test]
fn what_comes_out_of_tables_is_counted_for_each_block() {
    let mut decoder = Decoder::default();
    let mut repeated = |hex: &str| decoder.read(&hex::decode(hex.replace(' ', "")).unwrap(), |_, _| {}).unwrap();
    assert_eq!(repeated("4003616263 0464656667"), 0);
    assert_eq!(repeated("be be"), 2 * "abcdefg".len());
    assert_eq!(repeated("90"), "accept-encoding".len() + "gzip, deflate".len());
    // The name alone, which its value follows: of the dynamic table, and of the static one.
    assert_eq!(repeated("0f2f 0178"), "abc".len());
    assert_eq!(repeated("0f01 0178"), 0);
}
