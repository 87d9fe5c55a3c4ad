//! Tensors in JSON, and beside it: the binary extension.

use bytes::Bytes;
use serde_json::{Value, json};

use super::tensor::{Datatype, Tensor, push_element};
use crate::answer::Problem;

/// Reads a tensor; `binary` is what follows the JSON, and what belongs to this tensor is taken from its front.
pub(super) fn read(tensor: &Value, binary: &mut Bytes) -> Result<Tensor, Problem> {
    let name = tensor["name"].as_str().ok_or_else(|| Problem::bad_request("every input needs a `name`"))?.to_owned();
    let datatype = Datatype::named(tensor["datatype"].as_str().unwrap_or_default())?;
    let shape = tensor["shape"].as_array().into_iter().flatten();
    let shape = shape.map(Value::as_i64).collect::<Option<Vec<_>>>();
    let shape = shape.ok_or_else(|| Problem::bad_request(format!("input `{name}` has no shape")))?;
    let bytes = match tensor["parameters"]["binary_data_size"].as_u64() {
        Some(size) if size as usize <= binary.len() => binary.split_to(size as usize),
        Some(size) => {
            return Err(Problem::bad_request(format!("input `{name}` should have {size} bytes and has fewer")));
        }
        None => {
            let mut bytes = Vec::new();
            write_elements(&tensor["data"], datatype, &mut bytes)
                .ok_or_else(|| Problem::bad_request(format!("input `{name}` has no data of its datatype")))?;
            bytes.into()
        }
    };
    Tensor::new(name, datatype, shape, bytes)
}

/// Writes elements, however lists are nested. Nothing if one is not what it should be.
fn write_elements(value: &Value, datatype: Datatype, bytes: &mut Vec<u8>) -> Option<()> {
    if let Value::Array(values) = value {
        return values.iter().try_for_each(|value| write_elements(value, datatype, bytes));
    }
    match datatype {
        Datatype::Bool => bytes.push(u8::from(value.as_bool()?)),
        Datatype::Bytes => push_element(bytes, value.as_str()?.as_bytes()),
        Datatype::Uint8 => bytes.extend(u8::try_from(value.as_u64()?).ok()?.to_le_bytes()),
        Datatype::Uint16 => bytes.extend(u16::try_from(value.as_u64()?).ok()?.to_le_bytes()),
        Datatype::Uint32 => bytes.extend(u32::try_from(value.as_u64()?).ok()?.to_le_bytes()),
        Datatype::Uint64 => bytes.extend(value.as_u64()?.to_le_bytes()),
        Datatype::Int8 => bytes.extend(i8::try_from(value.as_i64()?).ok()?.to_le_bytes()),
        Datatype::Int16 => bytes.extend(i16::try_from(value.as_i64()?).ok()?.to_le_bytes()),
        Datatype::Int32 => bytes.extend(i32::try_from(value.as_i64()?).ok()?.to_le_bytes()),
        Datatype::Int64 => bytes.extend(value.as_i64()?.to_le_bytes()),
        Datatype::Fp32 => bytes.extend((value.as_f64()? as f32).to_le_bytes()),
        Datatype::Fp64 => bytes.extend(value.as_f64()?.to_le_bytes()),
        // These two exist in binary only.
        Datatype::Fp16 | Datatype::Bf16 => return None,
    }
    Some(())
}

/// Writes a tensor; its data beside the JSON if asked for, and where JSON has no numbers of its type.
pub(super) fn write(tensor: &Tensor, binary: bool, beside: &mut Vec<u8>) -> Value {
    let mut written = json!({"name": tensor.name, "datatype": tensor.datatype.name(), "shape": tensor.shape});
    match (binary, elements(tensor)) {
        (false, Some(data)) => written["data"] = data,
        _ => {
            written["parameters"] = json!({"binary_data_size": tensor.bytes.len()});
            beside.extend(&tensor.bytes);
        }
    }
    written
}

fn elements(tensor: &Tensor) -> Option<Value> {
    macro_rules! numbers {
        ($type:ty) => {
            tensor
                .bytes
                .chunks_exact(size_of::<$type>())
                .map(|bytes| bytes.try_into().ok().map(|bytes| json!(<$type>::from_le_bytes(bytes))))
                .collect::<Option<Vec<Value>>>()
        };
    }
    let elements = match tensor.datatype {
        Datatype::Bool => Some(tensor.bytes.iter().map(|byte| json!(*byte != 0)).collect()),
        Datatype::Bytes => Some(tensor.elements().iter().map(|text| json!(String::from_utf8_lossy(text))).collect()),
        Datatype::Uint8 => numbers!(u8),
        Datatype::Uint16 => numbers!(u16),
        Datatype::Uint32 => numbers!(u32),
        Datatype::Uint64 => numbers!(u64),
        Datatype::Int8 => numbers!(i8),
        Datatype::Int16 => numbers!(i16),
        Datatype::Int32 => numbers!(i32),
        Datatype::Int64 => numbers!(i64),
        Datatype::Fp32 => numbers!(f32),
        Datatype::Fp64 => numbers!(f64),
        Datatype::Fp16 | Datatype::Bf16 => None,
    };
    elements.map(Value::Array)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_are_the_same_in_json_and_in_binary() {
        let rows = [
            json!({"name": "a", "datatype": "INT32", "shape": [2, 2], "data": [[1, -2], [3, 4]]}),
            json!({"name": "b", "datatype": "BYTES", "shape": [2], "data": ["one", ""]}),
            json!({"name": "c", "datatype": "FP32", "shape": [1, 2], "data": [0.5, -1.0]}),
            json!({"name": "d", "datatype": "BOOL", "shape": [3], "data": [true, false, true]}),
        ];
        for row in rows {
            let tensor = read(&row, &mut Bytes::new()).unwrap();
            let mut beside = Vec::new();
            let binary = write(&tensor, true, &mut beside);
            assert!(binary.get("data").is_none());
            assert_eq!(read(&binary, &mut Bytes::from(beside)), Ok(tensor.clone()));
            let plain = write(&tensor, false, &mut Vec::new());
            assert_eq!(read(&plain, &mut Bytes::new()), Ok(tensor));
        }
    }

    #[test]
    fn what_does_not_fit_its_shape_is_refused() {
        let rows = [
            json!({"name": "a", "datatype": "INT32", "shape": [3], "data": [1, 2]}),
            json!({"name": "a", "datatype": "INT32", "shape": [-1], "data": [1]}),
            json!({"name": "a", "datatype": "INT8", "shape": [1], "data": [300]}),
            json!({"name": "a", "datatype": "INT4", "shape": [1], "data": [1]}),
            json!({"name": "a", "datatype": "INT32", "shape": [1], "parameters": {"binary_data_size": 4}}),
            json!({"name": "a", "datatype": "INT32", "shape": [9_223_372_036_854_775_807_i64, 4], "data": []}),
        ];
        for row in rows {
            assert!(read(&row, &mut Bytes::new()).is_err(), "{row}");
        }
    }
}
