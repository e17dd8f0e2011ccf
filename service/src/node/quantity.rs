//! Quantities of Kubernetes as numbers.

/// The amount that a quantity stands for. None if the text is not a quantity.
pub fn number(text: &str) -> Option<f64> {
    kube_quantity::ParsedQuantity::try_from(text).ok()?.to_bytes_f64()
}
