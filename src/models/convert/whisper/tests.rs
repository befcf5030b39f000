use super::*;

/// Writes a file in CTranslate2's layout.
struct Writer(Vec<u8>);

impl Writer {
    fn new(version: u32, specification: &str) -> Self {
        let mut writer = Self(version.to_le_bytes().to_vec());
        writer.name(specification);
        writer.0.extend(3_u32.to_le_bytes());
        writer
    }

    fn name(&mut self, name: &str) {
        self.0.extend((name.len() as u16 + 1).to_le_bytes());
        self.0.extend(name.as_bytes());
        self.0.push(0);
    }

    fn count(&mut self, count: u32) {
        self.0.extend(count.to_le_bytes());
    }

    fn variable(&mut self, name: &str, shape: &[u32], kind: u8, values: &[u8]) {
        self.name(name);
        self.0.push(shape.len() as u8);
        shape.iter().for_each(|dim| self.0.extend(dim.to_le_bytes()));
        self.0.push(kind);
        self.0.extend((values.len() as u32).to_le_bytes());
        self.0.extend(values);
    }

    fn f16(&mut self, name: &str, shape: &[u32], from: f32) {
        let count = shape.iter().product::<u32>();
        let bit = |n: u32| half::f16::from_f32(if from == 0.0 { 0.0 } else { from + n as f32 }).to_le_bytes();
        let values: Vec<u8> = (0..count).flat_map(bit).collect();
        self.variable(name, shape, F16, &values);
    }
}

/// A Whisper two wide, with one layer on either side.
fn tiny(key_bias: f32) -> Vec<u8> {
    let mut file = Writer::new(6, "WhisperSpec");
    let mut names: Vec<(String, Vec<u32>)> = vec![
        ("encoder/conv1/weight".into(), vec![2, 4, 3]),
        ("encoder/conv1/bias".into(), vec![2]),
        ("encoder/conv2/weight".into(), vec![2, 2, 3]),
        ("encoder/conv2/bias".into(), vec![2]),
        ("decoder/embeddings/weight".into(), vec![5, 2]),
    ];
    for side in ["encoder", "decoder"] {
        names.push((format!("{side}/position_encodings/encodings"), vec![7, 2]));
        names.push((format!("{side}/layer_norm/gamma"), vec![2]));
        names.push((format!("{side}/layer_norm/beta"), vec![2]));
        let layer = format!("{side}/layer_0");
        let mut part = |name: &str, rows: u32, columns: u32| {
            names.push((format!("{layer}/{name}/weight"), vec![rows, columns]));
            names.push((format!("{layer}/{name}/bias"), vec![rows]));
        };
        part("self_attention/linear_0", 6, 2);
        part("self_attention/linear_1", 2, 2);
        part("ffn/linear_0", 8, 2);
        part("ffn/linear_1", 2, 8);
        if side == "decoder" {
            part("attention/linear_0", 2, 2);
            part("attention/linear_1", 4, 2);
            part("attention/linear_2", 2, 2);
        }
        for norm in ["self_attention", "ffn", "attention"] {
            if side == "decoder" || norm != "attention" {
                names.push((format!("{layer}/{norm}/layer_norm/gamma"), vec![2]));
                names.push((format!("{layer}/{norm}/layer_norm/beta"), vec![2]));
            }
        }
    }
    file.count(names.len() as u32 + 2);
    for side in ["encoder", "decoder"] {
        file.variable(&format!("{side}/num_heads"), &[], I16, &1_i16.to_le_bytes());
    }
    for (name, shape) in names {
        let keys = name.ends_with("attention/linear_0/bias") && shape == [6]
            || name.ends_with("linear_1/bias") && shape == [4];
        file.f16(&name, &shape, if keys { key_bias } else { 1.0 });
    }
    file.count(1);
    file.name("decoder/projection/weight");
    file.name("decoder/embeddings/weight");
    file.0
}

fn folder(model: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model.bin"), model).unwrap();
    fs::write(folder.path().join("config.json"), r#"{"suppress_ids": [1, 2], "suppress_ids_begin": [3]}"#).unwrap();
    fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    folder
}

#[test]
fn a_file_is_taken_apart_under_the_published_names() {
    let folder = folder(&tiny(0.0));
    let mut shares = Vec::new();
    convert(folder.path(), folder.path(), &mut |share| shares.push(share)).unwrap();
    assert!(shares.is_sorted() && shares.last() == Some(&1.0));
    let tensors = candle_core::safetensors::load(folder.path().join("model.safetensors"), &Device::Cpu).unwrap();
    let values =
        |name: &str| tensors[name].to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(values("model.encoder.layers.0.self_attn.q_proj.weight"), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(values("model.encoder.layers.0.self_attn.v_proj.weight"), [9.0, 10.0, 11.0, 12.0]);
    assert_eq!(values("model.decoder.layers.0.encoder_attn.v_proj.weight"), [5.0, 6.0, 7.0, 8.0]);
    assert_eq!(values("model.decoder.layers.0.fc2.bias"), [1.0, 2.0]);
    assert!(!tensors.contains_key("model.encoder.layers.0.self_attn.k_proj.bias"));
    assert_eq!(tensors.len(), 5 + 2 * 3 + 2 * 15 + 9, "{:?}", tensors.keys());
    let config: Value = serde_json::from_str(&fs::read_to_string(folder.path().join("config.json")).unwrap()).unwrap();
    assert_eq!((&config["d_model"], &config["num_mel_bins"], &config["vocab_size"]), (&json!(2), &json!(4), &json!(5)));
    assert_eq!((&config["encoder_layers"], &config["suppress_tokens"]), (&json!(1), &json!([1, 2])));
}

#[test]
fn a_key_bias_is_refused() {
    let folder = folder(&tiny(1.0));
    let refused = convert(folder.path(), folder.path(), &mut |_| ()).unwrap_err();
    assert!(matches!(&refused, ConvertError::Unsupported { reason, .. } if reason.contains("keys")), "{refused}");
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let whole = tiny(0.0);
    let aliases = whole.len() - 60;
    for length in (0..aliases).step_by(7) {
        let parsed = Ct2::parse(&whole[..length]).and_then(|file| rename(&file).map(|_| ()));
        assert!(parsed.is_err(), "{length} of {} bytes", whole.len());
    }
}

#[test]
fn a_bogus_length_ends_at_the_end_of_the_file() {
    let mut counted = Writer::new(6, "WhisperSpec");
    counted.count(u32::MAX);
    counted.f16("a", &[2], 1.0);
    let refused = Ct2::parse(&counted.0).err();
    assert!(matches!(&refused, Some(Reason::Malformed(reason)) if reason.contains("ends after")), "{refused:?}");

    let mut huge = Writer::new(6, "WhisperSpec");
    huge.count(1);
    huge.variable("decoder/embeddings/weight", &[u32::MAX, u32::MAX, u32::MAX], F16, &[0; 8]);
    let refused = Ct2::parse(&huge.0).unwrap().f16("decoder/embeddings/weight").err();
    assert!(matches!(&refused, Some(Reason::Malformed(reason)) if reason.contains("8 bytes")), "{refused:?}");
}

#[test]
fn another_file_is_told_apart() {
    let old = Writer::new(3, "WhisperSpec").0;
    assert!(matches!(Ct2::parse(&old), Err(Reason::Unsupported(reason)) if reason.contains("format 3")));
    let other = Writer::new(6, "TransformerSpec").0;
    assert!(matches!(Ct2::parse(&other), Err(Reason::Unsupported(reason)) if reason.contains("TransformerSpec")));
}
