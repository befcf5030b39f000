//! Kokoro's int8 graph → f32, with the intonation laid open.
//!
//! The package's graph quantises activations on the fly (`DynamicQuantizeLinear` → `ConvInteger`/`MatMulInteger` → scaling),
//! which costs time and precision on CPUs. Each such chain becomes one `Conv` or `MatMul` on dequantised weights. The
//! model predicts a pitch curve before it draws the waveform; two inputs that the package lacks reach
//! into it, so that an emotion changes the intonation and leaves the timbre alone:
//!
//! | input, f32 `[1]` | neutral | effect |
//! |---|---|---|
//! | `range` | 1 | multiplies the distances from the utterance's mean pitch, in semitones |
//! | `pitch` | 1 | factor of the pitch, in hertz |

mod graph;

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use prost::Message;

use self::graph::{Graph, Model, Node, Tensor, ValueInfo};
use super::ConvertError;

/// The predicted pitch curve: hertz, two values a frame, near 0 where there is no voice.
const PITCH: &str = "/encoder/F0_proj/Conv_output_0";
/// What counts as voiced, in hertz.
const VOICED: f32 = 40.0;

/// Converts `raw/model.int8.onnx` into `out/model.onnx` (about 293 MB).
///
/// # Errors
/// [`ConvertError`]: a file cannot be read or written, is not an ONNX model, or is not this one.
pub fn convert(raw: &Path, out: &Path, progress: &mut dyn FnMut(f32)) -> Result<(), ConvertError> {
    let path = raw.join("model.int8.onnx");
    let bytes = std::fs::read(&path).map_err(ConvertError::io(&path))?;
    let mut model = Model::decode(&*bytes).map_err(|error| ConvertError::malformed(&path, error.to_string()))?;
    // Fields that the schema above lacks would be dropped silently, and show as missing bytes.
    let (read, kept) = (bytes.len(), model.encoded_len());
    if read != kept {
        return Err(ConvertError::unsupported(&path, format!("{kept} of its {read} bytes are of a known kind")));
    }
    progress(0.1);
    let graph = model.graph.as_mut().ok_or_else(|| ConvertError::malformed(&path, "it holds no graph"))?;
    dequantise(graph, &mut |share| progress(0.1 + 0.7 * share))
        .and_then(|()| open_intonation(graph))
        .map_err(|reason| ConvertError::unsupported(&path, reason))?;
    progress(0.8);
    let product = out.join("model.onnx");
    std::fs::write(&product, model.encode_to_vec()).map_err(ConvertError::io(&product))?;
    progress(1.0);
    Ok(())
}

/// Replaces every quantised convolution and matrix product. `Err` says what was not as expected.
fn dequantise(graph: &mut Graph, progress: &mut dyn FnMut(f32)) -> Result<(), String> {
    let mut weights = Weights::default();
    let plan = {
        let graph = View::new(graph);
        let chains = graph.nodes.iter().enumerate().filter_map(|(at, node)| Some((at, graph.chain(node)?)));
        let chains: Vec<_> = chains.collect();
        let mut plan = Vec::with_capacity(chains.len());
        for (done, (at, chain)) in chains.iter().enumerate() {
            progress(done as f32 / chains.len() as f32);
            plan.push((*at, chain.replacement(&graph, &mut weights)?));
        }
        plan
    };
    for (at, node) in plan {
        graph.node[at] = node;
    }
    graph.initializer.extend(weights.tensors);
    // Hints about values, some of which are gone; the runtime infers them.
    graph.value_info.clear();
    prune(graph);
    match graph.node.iter().find(|node| matches!(node.op_type(), "ConvInteger" | "MatMulInteger")) {
        Some(left) => Err(format!("{} is quantised in an unknown way", left.name())),
        None => Ok(()),
    }
}

/// A graph, and who makes each value.
struct View<'a> {
    nodes: &'a [Node],
    makers: HashMap<&'a str, &'a Node>,
    constants: HashMap<&'a str, &'a Tensor>,
}

/// `Cast(product [+ bias]) * (input scale * weight scale)`: the end of a quantised operation.
struct Chain<'a> {
    /// The last `Mul`.
    end: &'a Node,
    /// The `ConvInteger` or `MatMulInteger`.
    product: &'a Node,
    /// What the input was before it was quantised.
    input: &'a str,
    /// The weights' scale.
    scale: &'a str,
    /// The bias before it was quantised.
    bias: Option<&'a str>,
}

impl<'a> View<'a> {
    fn new(graph: &'a Graph) -> Self {
        let outputs = |node: &'a Node| node.output.iter().map(move |name| (name.as_str(), node));
        Self {
            nodes: &graph.node,
            makers: graph.node.iter().flat_map(outputs).collect(),
            constants: graph.initializer.iter().map(|tensor| (tensor.name(), tensor)).collect(),
        }
    }

    /// The node that makes `node`'s input number `index`, if it is an `op_type`.
    fn maker(&self, node: &Node, index: usize, op_type: &str) -> Option<&'a Node> {
        let maker = *self.makers.get(node.input.get(index)?.as_str())?;
        (maker.op_type() == op_type).then_some(maker)
    }

    /// The chain that ends at `end`.
    fn chain(&self, end: &'a Node) -> Option<Chain<'a>> {
        if end.op_type() != "Mul" {
            return None;
        }
        let (cast, scales) = [(0, 1), (1, 0)]
            .into_iter()
            .find_map(|(cast, scales)| Some((self.maker(end, cast, "Cast")?, self.maker(end, scales, "Mul")?)))?;
        let summed = self.maker(cast, 0, "Add");
        let product = match summed {
            Some(add) => self.maker(add, 0, "ConvInteger"),
            None => self.maker(cast, 0, "ConvInteger").or_else(|| self.maker(cast, 0, "MatMulInteger")),
        }?;
        // The bias is quantised as it goes: Reshape(Cast(Floor(bias / scales))).
        let bias = summed.and_then(|add| {
            let rounded = self.maker(self.maker(add, 1, "Reshape")?, 0, "Cast")?;
            let divided = self.maker(self.maker(rounded, 0, "Floor")?, 0, "Div")?;
            divided.input.first().map(String::as_str)
        });
        if summed.is_some() && bias.is_none() {
            return None;
        }
        let quantiser = self.maker(product, 0, "DynamicQuantizeLinear")?;
        let scale = scales.input.iter().find(|name| self.constants.contains_key(name.as_str()))?;
        Some(Chain { end, product, input: quantiser.input.first()?, scale, bias })
    }

    /// A constant's shape and values.
    fn constant(&self, name: &str) -> Result<(&'a [i64], Vec<f32>), String> {
        let tensor = self.constants.get(name).ok_or_else(|| format!("{name} is not a constant"))?;
        let values = tensor.values().ok_or_else(|| format!("{name} is not a whole float or 8-bit tensor"))?;
        Ok((&tensor.dims, values))
    }
}

/// Dequantised weights, each made once however often it is used.
#[derive(Default)]
struct Weights {
    tensors: Vec<Tensor>,
    names: HashMap<[String; 3], String>,
}

impl Chain<'_> {
    fn replacement(&self, graph: &View, weights: &mut Weights) -> Result<Node, String> {
        let [_, weight, _, zero] = self.product.input.as_slice() else {
            return Err(format!("{} has {} inputs instead of 4", self.product.name(), self.product.input.len()));
        };
        let key = [weight.clone(), self.scale.into(), zero.clone()];
        let name = match weights.names.get(&key) {
            Some(name) => name.clone(),
            None => {
                let name = format!("{weight}_f32_{}", weights.tensors.len());
                let tensor = self.dequantised(graph, &name, weight, zero)?;
                weights.tensors.push(tensor);
                weights.names.entry(key).or_insert(name).clone()
            }
        };
        let op_type = if self.product.op_type() == "ConvInteger" { "Conv" } else { "MatMul" };
        let mut node = Node::new(op_type, &[self.input, &name], &self.end.output[0]);
        node.input.extend(self.bias.map(String::from));
        node.attribute.clone_from(&self.product.attribute);
        Ok(node)
    }

    /// `(weight − zero) · scale`, per tensor, or per column for matrices.
    fn dequantised(&self, graph: &View, name: &str, weight: &str, zero: &str) -> Result<Tensor, String> {
        let (dims, mut values) = graph.constant(weight)?;
        let (_, scales) = graph.constant(self.scale)?;
        let (_, zeros) = graph.constant(zero)?;
        let columns = if dims.len() == 2 { dims[1] as usize } else { 1 };
        for (what, count) in [("scales", scales.len()), ("zero points", zeros.len())] {
            if count != 1 && count != columns {
                return Err(format!("{weight} of shape {dims:?} has {count} {what}, neither one nor one a column"));
            }
        }
        for (index, value) in values.iter_mut().enumerate() {
            *value = (*value - zeros[index % zeros.len()]) * scales[index % scales.len()];
        }
        Ok(Tensor::float(name, dims, &values))
    }
}

/// Puts the two controls between the pitch predictor and the decoder.
fn open_intonation(graph: &mut Graph) -> Result<(), String> {
    let at = graph.node.iter().position(|node| node.output.iter().any(|name| name == PITCH));
    let at = at.ok_or_else(|| format!("it lacks {PITCH}"))?;
    graph.node[at].output[0] = "f0/hertz".into();
    // hertz → exp(mean + (ln hertz − mean) · range) · pitch, the mean being that of the voiced frames.
    let controls = [
        Node::new("Max", &["f0/hertz", "f0/one"], "f0/positive"),
        Node::new("Log", &["f0/positive"], "f0/log"),
        Node::new("Greater", &["f0/hertz", "f0/floor"], "f0/voiced"),
        Node::new("Where", &["f0/voiced", "f0/one", "f0/zero"], "f0/mask"),
        Node::new("Mul", &["f0/log", "f0/mask"], "f0/masked"),
        Node::new("ReduceSum", &["f0/masked"], "f0/sum"),
        Node::new("ReduceSum", &["f0/mask"], "f0/count"),
        Node::new("Div", &["f0/sum", "f0/count"], "f0/mean"),
        Node::new("Sub", &["f0/log", "f0/mean"], "f0/distance"),
        Node::new("Mul", &["f0/distance", "range"], "f0/ranged"),
        Node::new("Add", &["f0/ranged", "f0/mean"], "f0/moved"),
        Node::new("Exp", &["f0/moved"], "f0/moved_hertz"),
        Node::new("Mul", &["f0/moved_hertz", "pitch"], "f0/shifted"),
        Node::new("Where", &["f0/voiced", "f0/shifted", "f0/hertz"], PITCH),
    ];
    graph.node.splice(at + 1..at + 1, controls);
    let constants = [("f0/zero", 0.0), ("f0/one", 1.0), ("f0/floor", VOICED)];
    graph.initializer.extend(constants.map(|(name, value)| Tensor::float(name, &[1], &[value])));
    graph.input.extend(["range", "pitch"].map(|name| ValueInfo::scalar(name).encode_to_vec()));
    Ok(())
}

/// Drops the nodes and constants that no output needs.
fn prune(graph: &mut Graph) {
    let mut needed: HashSet<String> = graph.output.iter().map(|output| output.name().into()).collect();
    // Nodes come in topological order, so one walk backwards meets every consumer before its maker.
    for at in (0..graph.node.len()).rev() {
        if graph.node[at].output.iter().any(|name| needed.contains(name)) {
            needed.extend(graph.node[at].input.iter().cloned());
        }
    }
    graph.node.retain(|node| node.output.iter().any(|name| needed.contains(name)));
    graph.initializer.retain(|tensor| needed.contains(tensor.name()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_becomes_one_operation_on_the_weights_it_stood_for() {
        let eight_bits = |name: &str, dims: &[i64], values: &[i32]| Tensor {
            dims: dims.into(),
            data_type: Some(graph::INT8),
            int32_data: values.into(),
            name: Some(name.into()),
            ..Tensor::default()
        };
        let named = |op: &str, input: &[&str], output: &[&str]| Node {
            output: output.iter().map(|&name| name.into()).collect(),
            ..Node::new(op, input, output[0])
        };
        let mut graph = Graph {
            node: vec![
                named("DynamicQuantizeLinear", &["x"], &["q", "s", "z"]),
                named("MatMulInteger", &["q", "w", "z", "wz"], &["i"]),
                named("Cast", &["i"], &["c"]),
                named("Mul", &["s", "ws"], &["ss"]),
                named("Mul", &["c", "ss"], &[PITCH]),
                named("Neg", &[PITCH], &["audio"]),
            ],
            initializer: vec![
                eight_bits("w", &[2, 2], &[1, 2, 3, 4]),
                eight_bits("wz", &[2], &[0, 1]),
                Tensor::float("ws", &[2], &[0.5, 2.0]),
            ],
            output: vec![ValueInfo::scalar("audio")],
            ..Graph::default()
        };
        dequantise(&mut graph, &mut |_| ()).unwrap();
        let kinds: Vec<&str> = graph.node.iter().map(Node::op_type).collect();
        assert_eq!(kinds, ["MatMul", "Neg"]);
        assert_eq!(graph.initializer[0].values().unwrap(), [0.5, 2.0, 1.5, 6.0]);
        open_intonation(&mut graph).unwrap();
        assert_eq!(graph.node.last().unwrap().input, [PITCH]);
        assert_eq!(graph.input.len(), 2);
    }

    #[test]
    fn damaged_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let convert = |bytes: &[u8]| {
            std::fs::write(folder.path().join("model.int8.onnx"), bytes).unwrap();
            convert(folder.path(), folder.path(), &mut |_| ()).unwrap_err()
        };
        assert!(matches!(convert(b"not a model at all"), ConvertError::Malformed { .. }));
        assert!(matches!(convert(b""), ConvertError::Malformed { .. }));
        // A field of a newer schema: number 31, one byte.
        assert!(matches!(convert(&[0xf8, 0x01, 0x01]), ConvertError::Unsupported { .. }));
    }
}
