//! Behaviours of whole companions, one module each.

#[path = "behaviour/audio.rs"]
mod audio;
#[path = "behaviour/avatar.rs"]
mod avatar;
#[path = "behaviour/brain.rs"]
mod brain;
#[path = "behaviour/brain_files.rs"]
mod brain_files;
#[path = "behaviour/hearing.rs"]
mod hearing;
#[path = "behaviour/layout.rs"]
mod layout;
#[path = "behaviour/mandarin.rs"]
mod mandarin;
#[path = "behaviour/memory.rs"]
mod memory;
#[path = "behaviour/round_trip.rs"]
mod round_trip;
#[path = "behaviour/turns.rs"]
mod turns;
#[path = "behaviour/voice.rs"]
mod voice;
