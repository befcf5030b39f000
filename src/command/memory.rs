//! `companion memory`: what the companion remembers, and forgetting it.

use std::{
    fs::File,
    io::{self, BufRead, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use bevy_companion::memory::{
    LmdbConfig, Memory, MemoryConfig, MemoryId, Speaker,
    embedder::{Embed, TextEmbedder},
    ranking::Ranking,
    store::{Search, Store},
};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;

use super::{CommandResult, Context};

/// See what she remembers, add to it, search it, and make her forget.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  companion memory list\n  companion memory search \"what is my cat called?\"\n  companion memory forget 12"
)]
pub struct MemoryArgs {
    /// The folder of the store, instead of the configured one.
    #[arg(long, global = true, value_name = "FOLDER")]
    store: Option<PathBuf>,
    /// Whose memories: a companion's name.
    #[arg(long, global = true, value_name = "NAME")]
    owner: Option<String>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show what is remembered, the newest first.
    #[command(after_help = "Examples:\n  companion memory list\n  companion memory list --page 2 --owner 小雨")]
    List {
        /// Which page, from 1.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        page: u32,
        /// Memories on a page.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        per_page: u32,
    },
    /// Remember something. It is on disk once its number is printed. The companion may be running meanwhile.
    #[command(
        after_help = "Examples:\n  companion memory add \"My cat is called Mochi.\"\n  companion memory add - < facts.txt      # a memory a line"
    )]
    Add {
        /// What to remember, or `-` for a memory a line of the standard input.
        #[arg(required = true)]
        text: Vec<String>,
    },
    /// Find what is relevant to a text, as the companion would when she hears it.
    #[command(
        after_help = "Examples:\n  companion memory search 我的猫叫什么名字？\n  companion memory search tea --limit 20 --min-score 0"
    )]
    Search {
        /// What the memories should be relevant to.
        text: String,
        /// How many at most.
        #[arg(long, default_value_t = 5)]
        limit: usize,
        /// The least cosine similarity, -1 to 1, instead of the configured one.
        #[arg(long, value_name = "COSINE", allow_negative_numbers = true)]
        min_score: Option<f32>,
    },
    /// Forget for good.
    #[command(
        after_help = "Examples:\n  companion memory forget 12 13\n  companion memory forget --all --owner 小雨 --yes"
    )]
    Forget {
        /// The numbers of memories.
        #[arg(required_unless_present = "all")]
        ids: Vec<u32>,
        /// Everything, or everything of --owner.
        #[arg(long, conflicts_with = "ids", requires = "yes")]
        all: bool,
        /// Do not ask: there is no way back.
        #[arg(long)]
        yes: bool,
    },
    /// Embed every memory anew, after a change of the embedding model. May be interrupted and continued.
    #[command(after_help = "Example:\n  companion memory reindex")]
    Reindex,
    /// Write everything that is remembered as JSON, a memory a line.
    #[command(after_help = "Example:\n  companion memory export --out memories.jsonl")]
    Export {
        /// The file; the standard output if none is named.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// Runs the command.
pub fn run(args: &MemoryArgs, context: &Context) -> CommandResult {
    let config = context.config()?;
    let persona = || -> Result<String, Box<dyn std::error::Error>> {
        args.owner.clone().map_or_else(|| Ok(config.persona()?.name), Ok)
    };
    let MemoryConfig::Lmdb(mut memory) = config.clone().with_model_paths().memory else {
        return Err("the configured memory is scripted: it keeps nothing on disk".into());
    };
    if let Some(store) = &args.store {
        memory.store.clone_from(store);
    }
    let command =
        Memories { store: Store::open(&memory.store, memory.index_after)?, config: memory, json: context.json };
    let owner = args.owner.as_deref();
    match &args.action {
        Action::List { page, per_page } => command.list(owner, *page as usize, *per_page as usize),
        Action::Add { text } => command.add(&persona()?, text),
        Action::Search { text, limit, min_score } => command.search(&persona()?, text, *limit, *min_score),
        Action::Forget { all: true, .. } => command.forget_all(owner),
        Action::Forget { ids, .. } => command.forget(ids),
        Action::Reindex => command.reindex(),
        Action::Export { out } => command.export(owner, out.as_deref()),
    }
}

struct Memories {
    store: Store,
    config: LmdbConfig,
    json: bool,
}

impl Memories {
    fn embedder(&self) -> Result<TextEmbedder, Box<dyn std::error::Error>> {
        Ok(TextEmbedder::load(&self.config.model, &self.config.embedder)?)
    }

    fn show(&self, memories: &[Memory], scores: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for memory in memories {
            if self.json {
                writeln!(out, "{}", serde_json::to_string(memory)?)?;
                continue;
            }
            let speaker = match memory.speaker {
                Speaker::User => "user",
                Speaker::Companion => "companion",
                Speaker::Note => "note",
            };
            let score = if scores { format!("  {:.3}", memory.score) } else { String::new() };
            let Memory { id: MemoryId(id), owner, text, .. } = memory;
            writeln!(out, "{id:>6}  {}{score}  {owner}  {speaker}: {text}", when(memory.at))?;
        }
        Ok(())
    }

    fn list(&self, owner: Option<&str>, page: usize, per_page: usize) -> CommandResult {
        let total = self.store.count(owner)?;
        self.show(&self.store.list(owner, (page - 1).saturating_mul(per_page), per_page)?, false)?;
        if !self.json {
            let pages = total.div_ceil(per_page).max(1);
            println!("{total} memories in {}, page {page} of {pages}", self.store.path().display());
        }
        Ok(ExitCode::SUCCESS)
    }

    fn add(&self, owner: &str, text: &[String]) -> CommandResult {
        let embedder = self.embedder()?;
        // Told at once, before anything is typed.
        self.store.check(&embedder)?;
        if text != ["-"] {
            self.add_one(&embedder, owner, &text.join(" "))?;
            return Ok(ExitCode::SUCCESS);
        }
        for line in io::stdin().lock().lines() {
            let line = line?;
            if !line.trim().is_empty() {
                self.add_one(&embedder, owner, &line)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn add_one(&self, embedder: &TextEmbedder, owner: &str, text: &str) -> Result<(), Box<dyn std::error::Error>> {
        let text = text.trim();
        if text.is_empty() {
            return Err("there is nothing to remember in an empty text".into());
        }
        let vector = embedder.passage(text)?;
        let MemoryId(id) = self.store.remember(embedder, owner, Speaker::Note, text, now(), &vector)?;
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{}", json!({ "event": "remembered", "id": id, "owner": owner }))?;
        } else {
            writeln!(out, "remembered as {id}")?;
        }
        // Whoever waits for the number may end this process the moment it comes.
        Ok(out.flush()?)
    }

    fn search(&self, owner: &str, text: &str, limit: usize, min_score: Option<f32>) -> CommandResult {
        let embedder = self.embedder()?;
        let vector = embedder.query(text)?;
        let ranking = Ranking { min_score: min_score.unwrap_or(self.config.ranking.min_score), ..self.config.ranking };
        let search = Search { owner, vector: &vector, limit, before: None, ranking, now: now() };
        let found = self.store.search(&embedder, &search)?;
        self.show(&found, true)?;
        if found.is_empty() && !self.json {
            let count = self.store.count(Some(owner))?;
            println!("nothing that {owner} remembers ({count} memories) is that relevant; try --min-score 0");
        }
        Ok(ExitCode::SUCCESS)
    }

    fn forget(&self, ids: &[u32]) -> CommandResult {
        let mut status = ExitCode::SUCCESS;
        for id in ids {
            let forgotten = self.store.forget(MemoryId(*id))?;
            if self.json {
                println!("{}", json!({ "event": "forgotten", "id": id, "found": forgotten }));
            } else if forgotten {
                println!("forgot {id}");
            } else {
                eprintln!("there is no memory {id}");
            }
            if !forgotten {
                status = ExitCode::FAILURE;
            }
        }
        Ok(status)
    }

    fn forget_all(&self, owner: Option<&str>) -> CommandResult {
        let count = self.store.forget_all(owner)?;
        if self.json {
            println!("{}", json!({ "event": "forgotten", "count": count, "owner": owner }));
        } else {
            println!("forgot {count} memories{}", owner.map_or_else(String::new, |owner| format!(" of {owner}")));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn reindex(&self) -> CommandResult {
        let embedder = self.embedder()?;
        let bar = if self.json { ProgressBar::hidden() } else { ProgressBar::new(0) };
        let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} memories, {eta} left")?;
        bar.set_style(style);
        let mut total = 0;
        self.store.reindex(&embedder, &mut |done, all| {
            total = all;
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        if self.json {
            println!("{}", json!({ "event": "reindexed", "count": total, "embedder": embedder.name() }));
        } else {
            println!("embedded {total} memories with {}", embedder.name());
        }
        Ok(ExitCode::SUCCESS)
    }

    fn export(&self, owner: Option<&str>, out: Option<&std::path::Path>) -> CommandResult {
        let mut writer: Box<dyn Write> = match out {
            None => Box::new(BufWriter::new(io::stdout().lock())),
            Some(path) => {
                let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
                Box::new(BufWriter::new(file))
            }
        };
        let memories = self.store.list(owner, 0, usize::MAX)?;
        for memory in memories.iter().rev() {
            writeln!(writer, "{}", serde_json::to_string(memory)?)?;
        }
        writer.flush()?;
        if let Some(path) = out {
            eprintln!("{} memories are in {}", memories.len(), path.display());
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A moment as people here write it.
fn when(at: i64) -> String {
    let moment = Timestamp::from_second(at).map(|moment| moment.to_zoned(TimeZone::system()));
    moment.map_or_else(|_| "?".into(), |moment| moment.strftime("%Y-%m-%d %H:%M").to_string())
}
