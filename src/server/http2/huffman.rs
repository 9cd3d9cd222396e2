//! The Huffman code of HPACK (RFC 7541, appendix B), which is a canonical one: its lengths say it all.

/// How many symbols have codes of so many bits, from 5 to 30.
const COUNTS: [u16; 26] = [10, 26, 32, 6, 0, 5, 3, 2, 6, 2, 3, 0, 0, 0, 3, 8, 13, 26, 29, 12, 4, 15, 19, 29, 0, 4];
const SHORTEST: u32 = 5;

/// The symbols in the order of their codes; the last code of all means the end, which nobody may send.
const SYMBOLS: [u8; 256] = [
    48, 49, 50, 97, 99, 101, 105, 111, 115, 116, 32, 37, 45, 46, 47, 51, 52, 53, 54, 55, 56, 57, 61, 65, 95, 98, 100,
    102, 103, 104, 108, 109, 110, 112, 114, 117, 58, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81,
    82, 83, 84, 85, 86, 87, 89, 106, 107, 113, 118, 119, 120, 121, 122, 38, 42, 44, 59, 88, 90, 33, 34, 40, 41, 63, 39,
    43, 124, 35, 62, 0, 36, 64, 91, 93, 126, 94, 125, 60, 96, 123, 92, 195, 208, 128, 130, 131, 162, 184, 194, 224,
    226, 153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230, 129, 132, 133, 134, 136, 146, 154, 156, 160,
    163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190, 196, 198, 228, 232, 233, 1, 135, 137, 138, 139, 140,
    141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180, 182, 183, 188, 191, 197, 231, 239,
    9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237, 199, 207, 234, 235, 192, 193, 200, 201, 202, 205, 210,
    213, 218, 219, 238, 240, 242, 243, 255, 203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250,
    251, 252, 253, 254, 2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30,
    31, 127, 220, 249, 10, 13, 22,
];

/// Decodes `text` onto the end of `out`; `None` where it is no text in this code.
pub(super) fn decode(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (mut bits, mut count, mut bytes) = (0_u64, 0_u32, text.iter());
    loop {
        while count <= 32 {
            let Some(byte) = bytes.next() else { break };
            bits = bits << 8 | u64::from(*byte);
            count += 8;
        }
        // To the left of 64 bits, the rest filled with ones: padding is made of ones (RFC 7541, 5.2).
        let window = if count == 0 { u64::MAX } else { bits << (64 - count) | u64::MAX >> count };
        match symbol(window) {
            Some((symbol, length)) if length <= count => {
                out.push(symbol);
                count -= length;
            }
            _ => return (count < 8 && window == u64::MAX).then_some(()),
        }
    }
}

/// The first symbol of those bits, and how many they are.
fn symbol(window: u64) -> Option<(u8, u32)> {
    let (mut first, mut index) = (0_u64, 0_u64);
    for (length, count) in (SHORTEST..).zip(COUNTS) {
        let code = window >> (64 - length);
        let offset = code.checked_sub(first)?;
        if offset < u64::from(count) {
            return Some((*SYMBOLS.get(usize::try_from(index + offset).ok()?)?, length));
        }
        first = (first + u64::from(count)) << 1;
        index += u64::from(count);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(hex: &str) -> Option<String> {
        let mut out = Vec::new();
        decode(&hex::decode(hex).unwrap(), &mut out)?;
        Some(out.escape_ascii().to_string())
    }

    /// RFC 7541, appendix C.
    #[test]
    fn the_examples_of_the_rfc_are_read() {
        for (hex, text) in [
            ("", ""),
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
            ("a8eb10649cbf", "no-cache"),
            ("25a849e95ba97d7f", "custom-key"),
            ("25a849e95bb8e8b4bf", "custom-value"),
            ("6402", "302"),
            ("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"),
            (
                "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            ),
        ] {
            assert_eq!(decoded(hex).as_deref(), Some(text), "{hex}");
        }
    }

    #[test]
    fn a_wrong_end_is_refused() {
        // The end symbol; padding that is too long; padding that is not all ones; a code cut off.
        for hex in ["ffffffff", "3fffffffff", "1fff", "00", "fe"] {
            assert_eq!(decoded(hex), None, "{hex}");
        }
        assert_eq!(decoded("07").as_deref(), Some("0"));
    }

    #[test]
    fn every_symbol_has_its_code() {
        assert_eq!(COUNTS.iter().sum::<u16>(), 257);
        let mut sorted = SYMBOLS;
        sorted.sort_unstable();
        assert!(sorted.iter().enumerate().all(|(index, symbol)| index == usize::from(*symbol)));
    }
}
