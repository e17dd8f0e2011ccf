//! Words for error messages: what somebody may have meant.

/// Longer texts are no typing errors, and comparing them takes time.
const MAX_GUESSED: usize = 64;

/// A guess for a text that is none of the words, to follow the text in a sentence. Empty if no word is close.
pub(crate) fn did_you_mean(text: &str, words: impl Iterator<Item = &'static str>) -> String {
    if text.len() > MAX_GUESSED {
        return String::new();
    }
    let text = text.to_lowercase();
    let closest = words
        .map(|word| (strsim::normalized_damerau_levenshtein(&text, &word.to_lowercase()), word))
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    match closest {
        Some((similarity, word)) if similarity >= 0.6 => format!(" (did you mean `{word}`?)"),
        _ => String::new(),
    }
}

/// The words as a choice: `a, b or c`.
pub(crate) fn listed(words: impl Iterator<Item = &'static str>) -> String {
    let mut words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    match words.pop() {
        Some(last) if !words.is_empty() => format!("{} or {last}", words.join(", ")),
        last => last.unwrap_or_default(),
    }
}
