// SPDX-License-Identifier: Apache-2.0
use crate::error::{check, Result};
use crate::handle::{copied, defaults, filled, optional_text, path, pointer, sized, texts, Handle, Texts};
use ftlib_sys as sys;
use std::path::Path;

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// "system", "user", "assistant", or what else the template knows.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A message.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Message {
        Message { role: role.into(), content: content.into() }
    }
}

pub(crate) fn arrays(messages: &[Message]) -> Result<(Texts, Texts)> {
    let roles = texts(|i| format!("messages[{i}].role"), messages.iter().map(|m| m.role.as_str()))?;
    let contents = texts(|i| format!("messages[{i}].content"), messages.iter().map(|m| m.content.as_str()))?;
    Ok((roles, contents))
}

/// How a tokenizer is opened.
#[derive(Clone, Debug, Default)]
pub struct TokenizerOptions {
    /// Jinja text in place of the model's own template.
    pub chat_template: Option<String>,
    /// What the template's strftime_now sees, YYYY-MM-DD.
    pub date: Option<String>,
}

/// Facts of a tokenizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizerInfo {
    /// Ids are 0 to vocab_size - 1.
    pub vocab_size: i32,
    /// The begin token.
    pub bos_id: Option<i32>,
    /// The end token.
    pub eos_id: Option<i32>,
    /// The padding token.
    pub pad_id: Option<i32>,
    /// Whether plain text begins with the begin token in training.
    pub adds_bos: bool,
    /// The chat template in use.
    pub chat_template: Option<String>,
    /// SHA-256 of all that decides ids.
    pub digest: String,
}

/// A vocabulary with its chat template. Immutable.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/example.rs"));
/// # fn main() -> ftlib::Result<()> {
/// # files();
/// let tokenizer = ftlib::Tokenizer::open("model.gguf", &Default::default())?;
/// let ids = tokenizer.encode("Hello!")?;
/// assert_eq!(tokenizer.decode(&ids, false)?, b"Hello!");
/// # Ok(())
/// # }
/// ```
pub struct Tokenizer {
    pub(crate) handle: Handle<sys::ft_tokenizer>,
}

// ft_tokenizer: any number of threads at once.
unsafe impl Send for Tokenizer {}
unsafe impl Sync for Tokenizer {}

impl Tokenizer {
    /// Of a .gguf file or a Hugging Face folder, without its weights.
    pub fn open(model: impl AsRef<Path>, options: &TokenizerOptions) -> Result<Tokenizer> {
        let model = path("model", model)?;
        let template = optional_text("chat_template", options.chat_template.as_deref())?;
        let date = optional_text("date", options.date.as_deref())?;
        let mut raw = defaults!(sys::ft_tokenizer_options, sys::ft_tokenizer_options_init);
        raw.chat_template = pointer(&template);
        raw.date = pointer(&date);
        let handle = Handle::make(sys::ft_tokenizer_free, |out| unsafe { sys::ft_tokenizer_open(model.as_ptr(), &raw, out) })?;
        Ok(Tokenizer { handle })
    }

    /// Its facts.
    pub fn info(&self) -> Result<TokenizerInfo> {
        let mut raw = sized!(sys::ft_tokenizer_info);
        check(unsafe { sys::ft_tokenizer_get_info(self.handle.raw, &mut raw) })?;
        let id = |value| if value < 0 { None } else { Some(value) };
        Ok(TokenizerInfo {
            vocab_size: raw.vocab_size,
            bos_id: id(raw.bos_id),
            eos_id: id(raw.eos_id),
            pad_id: id(raw.pad_id),
            adds_bos: raw.adds_bos == 1,
            chat_template: if raw.chat_template.is_null() { None } else { Some(unsafe { copied(raw.chat_template) }) },
            digest: unsafe { copied(raw.digest) },
        })
    }

    /// Token ids of any bytes, without begin and end token; control tokens in the text stay text.
    pub fn encode(&self, text: impl AsRef<[u8]>) -> Result<Vec<i32>> {
        self.encode_with(text.as_ref(), 0)
    }

    /// The same, but control tokens in the text become themselves.
    pub fn encode_special(&self, text: impl AsRef<[u8]>) -> Result<Vec<i32>> {
        self.encode_with(text.as_ref(), sys::FT_ENCODE_SPECIAL)
    }

    fn encode_with(&self, text: &[u8], flags: u32) -> Result<Vec<i32>> {
        filled(|tokens, room, count| unsafe {
            sys::ft_tokenizer_encode(self.handle.raw, text.as_ptr().cast(), text.len(), flags, tokens, room, count)
        })
    }

    /// The bytes of the tokens, which may end inside a character. `skip_special`: control tokens give nothing.
    pub fn decode(&self, tokens: &[i32], skip_special: bool) -> Result<Vec<u8>> {
        let flags = if skip_special { sys::FT_DECODE_SKIP_SPECIAL } else { 0 };
        filled(|text: *mut u8, room, count| unsafe {
            sys::ft_tokenizer_decode(self.handle.raw, tokens.as_ptr(), tokens.len(), flags, text.cast(), room, count)
        })
    }

    /// The conversation as the text that the model was trained to read.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let (roles, contents) = arrays(messages)?;
        let flags = if add_generation_prompt { sys::FT_CHAT_GENERATION_PROMPT } else { 0 };
        let bytes = filled(|text: *mut u8, room, count| unsafe {
            sys::ft_tokenizer_render(self.handle.raw, roles.pointers.as_ptr(), contents.pointers.as_ptr(), messages.len(), flags,
                                     text.cast(), room, count)
        })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The conversation as tokens.
    pub fn encode_messages(&self, messages: &[Message], add_generation_prompt: bool) -> Result<Vec<i32>> {
        let (roles, contents) = arrays(messages)?;
        let flags = if add_generation_prompt { sys::FT_CHAT_GENERATION_PROMPT } else { 0 };
        filled(|tokens, room, count| unsafe {
            sys::ft_tokenizer_encode_messages(self.handle.raw, roles.pointers.as_ptr(), contents.pointers.as_ptr(),
                                              messages.len(), flags, tokens, std::ptr::null_mut(), room, count)
        })
    }

    /// Each token of the conversation, and whether training teaches it. `last_only`: of the last assistant turn.
    pub fn supervision(&self, messages: &[Message], last_only: bool) -> Result<Vec<(i32, bool)>> {
        let (roles, contents) = arrays(messages)?;
        let flags = if last_only { sys::FT_CHAT_SUPERVISE_LAST } else { 0 };
        let mut taught = Vec::new();
        let tokens = filled(|tokens, room, count| {
            taught.resize(room, 0u8);
            let flags_to = if room == 0 { std::ptr::null_mut() } else { taught.as_mut_ptr() };
            unsafe {
                sys::ft_tokenizer_encode_messages(self.handle.raw, roles.pointers.as_ptr(), contents.pointers.as_ptr(),
                                                  messages.len(), flags, tokens, flags_to, room, count)
            }
        })?;
        Ok(tokens.into_iter().zip(taught.into_iter().map(|flag| flag == 1)).collect())
    }
}
