//! [id.method] and [id.sig] against vectors.

use rapace_codec::method_id;

#[test]
fn method_ids_match_the_vectors() {
    let mut seen = 0;
    for line in include_str!("../data/method-ids.txt").lines() {
        let Some((path, id)) = line.split_once(" = 0x") else {
            assert!(line.starts_with('#'), "unexpected line: {line}");
            continue;
        };
        let (service, method) = path.split_once('.').expect("the path has a dot");
        let expected = u32::from_str_radix(id, 16).expect("the id is hexadecimal");
        assert_eq!(method_id(service, method), expected, "{path}");
        seen += 1;
    }
    assert_eq!(seen, 6);
}
