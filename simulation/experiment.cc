#include "simulation/experiment.h"

#include <fcntl.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/version.h"
#include "federation/attachments.h"
#include "federation/spec.h"
#include "federation/spec_fields.h"

namespace dure::simulation {
namespace {

namespace fs = std::filesystem;

std::string FolderOf(const std::string& file) {
  const std::string folder = fs::path(file).parent_path().string();
  return folder.empty() ? "." : folder;
}

// A file that the federation file names, opened; not valid if it names none.
absl::StatusOr<FileDescriptor> OpenNamed(const FederationSpec& spec, const std::string& key,
                                         const std::string& folder) {
  const Attachment attachment = AttachmentOf(spec, key);
  if (attachment.file.empty()) return FileDescriptor();
  DURE_ASSIGN_OR_RETURN(
      OpenAttachment opened,
      OpenForAttaching(absl::StrCat(folder, "/", attachment.file), attachment.max_bytes));
  return std::move(opened.file);
}

// A data folder's part; or, for training, a CSV file or a text by itself.
absl::StatusOr<DataFiles> OpenRecords(const std::string& path, DataPart part) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored) || !fs::exists(path, ignored)) {
    return OpenDataFolder(path, part);
  }
  if (part == DataPart::kHeldOut) return absl::NotFoundError("a single file has no held-out part");
  DataFiles files;
  files.images = FileDescriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  files.labels = FileDescriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!files.images.valid() || !files.labels.valid()) {
    return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
  }
  files.images_path = files.labels_path = path;
  files.kind = absl::EndsWith(path, ".csv") ? DataKind::kTable : DataKind::kText;
  return files;
}

absl::StatusOr<Records> ReadFiles(const std::string& path, const FederationSpec& spec,
                                  const std::string& federation_folder, const TrainerParts& parts) {
  Records records;
  for (const DataPart part : {DataPart::kTraining, DataPart::kHeldOut}) {
    absl::StatusOr<DataFiles> opened = OpenRecords(path, part);
    if (part == DataPart::kHeldOut && absl::IsNotFound(opened.status())) break;
    DURE_RETURN_IF_ERROR(opened.status());
    DURE_ASSIGN_OR_RETURN(opened->vocabulary,
                          OpenNamed(spec, "model.vocabulary", federation_folder));
    DURE_ASSIGN_OR_RETURN(opened->schema, OpenNamed(spec, "data.schema", federation_folder));
    if (IsTable(*opened) && opened->labels_path == opened->images_path) {
      if (!opened->schema.valid()) {
        return absl::FailedPreconditionError(absl::StrCat(
            path,
            " is a table without its schema: name a data folder (`dure data add` makes one), "
            "or a schema in the federation file (data.schema)"));
      }
      DURE_ASSIGN_OR_RETURN(opened->labels, OpenNamed(spec, "data.schema", federation_folder));
      opened->labels_path = spec.data().schema();
    }
    DURE_ASSIGN_OR_RETURN(Dataset data, parts.read_data(*opened, spec.model()));
    DURE_RETURN_IF_ERROR(CheckDataset(data, spec.model(), opened->images_path));
    if (part == DataPart::kHeldOut) {
      records.held_out = std::move(data);
    } else {
      records.training = std::move(data);
      records.files = *std::move(opened);
    }
  }
  return records;
}

// What becomes of a federation without its noise. With local epochs nothing is clipped either; in
// the modes that clip every record, clipping is part of the method and stays.
void RemoveNoise(FederationSpec* spec) {
  spec->mutable_privacy()->set_noise_multiplier(0);
  spec->mutable_privacy()->set_max_epsilon(std::numeric_limits<double>::infinity());
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Records>> RecordsCache::Get(const std::string& key,
                                                                 const Read& read) {
  const std::lock_guard guard(lock_);
  std::shared_ptr<const Records>& known = known_[key];
  if (known == nullptr) {
    DURE_ASSIGN_OR_RETURN(Records records, read());
    known = std::make_shared<const Records>(std::move(records));
  }
  return known;
}

absl::StatusOr<std::unique_ptr<Experiment>> Experiment::Load(ExperimentOptions options,
                                                             const Learner& learner,
                                                             RecordsCache* cache) {
  auto made = std::unique_ptr<Experiment>(new Experiment(std::move(options), learner));
  DURE_RETURN_IF_ERROR(made->ReadFederation());
  DURE_RETURN_IF_ERROR(CheckTogether(made->simulation(), made->spec()));
  DURE_RETURN_IF_ERROR(made->ReadRecords(cache));
  DURE_RETURN_IF_ERROR(made->DealOut());
  DURE_ASSIGN_OR_RETURN(const MemoryEstimate memory, made->Memory());
  DURE_RETURN_IF_ERROR(CheckFits(memory, ReadFreeMemory(), made->options_.neighbours));
  return made;
}

// Before the first model is made: what is known by then of the run.
absl::Status Experiment::CheckModelFits(const FederationSpec& spec) const {
  const absl::StatusOr<ModelParts> parts = PartsOf(spec.model());
  if (!parts.ok()) return absl::OkStatus();
  const uint32_t clients = std::max(simulation().clients().count(), spec.rounds().minimum());
  const uint32_t cohort = spec.rounds().has_cohort()
                              ? spec.rounds().cohort()
                              : std::min<uint32_t>(clients, secagg::kMaxDenseMembers);
  const auto terms = DeriveTerms(spec, parts->travelling().dim(), cohort);
  if (!terms.ok()) {
    // How many clients there are is known only if the settings say so.
    const bool known = spec.rounds().has_cohort() || simulation().clients().has_count();
    return known ? terms.status() : absl::OkStatus();
  }
  DURE_ASSIGN_OR_RETURN(const MemoryEstimate memory,
                        EstimateMemory(spec, *terms,
                                       {.clients = clients,
                                        .threads = options_.threads,
                                        .full = options_.depth == Depth::kFull}));
  return CheckFits(memory, ReadFreeMemory(), options_.neighbours);
}

absl::Status Experiment::ReadFederation() {
  std::vector<KeyOverride> keys = options_.federation_keys;
  DURE_ASSIGN_OR_RETURN(FederationSpec spec, ReadFederationWithFiles(options_.federation, keys));
  if (!options_.privacy && spec.local().mode() == LocalSection::EPOCHS) {
    if (spec.privacy().unit() != PrivacySection::NONE) {
      // With them, what the command line says of the privacy that is off.
      std::erase_if(keys, [](const KeyOverride& key) {
        return absl::StartsWith(key.path, "privacy.") || key.path == "local.weight_mean";
      });
      keys.push_back({.shown = "--privacy off", .path = "privacy.unit", .value = "none"});
      DURE_ASSIGN_OR_RETURN(spec, ReadFederationWithFiles(options_.federation, keys));
    }
  } else if (!options_.privacy) {
    RemoveNoise(&spec);
  }
  if (spec.model().architecture() == ModelSection::OWN) {
    return absl::FailedPreconditionError(
        "model.own is trained by a program of its own, which this one does not know: simulate one "
        "of the built-in models, or a TorchScript module");
  }
  DURE_RETURN_IF_ERROR(CheckModelFits(spec));
  DURE_ASSIGN_OR_RETURN(first_model_, learner_.first_model(spec, options_.federation));
  DURE_ASSIGN_OR_RETURN(ModelParts parts, ModelParts::Create(first_model_.manifest, spec.model()));
  approved_.dim = parts.travelling().dim();
  approved_.parts = std::move(parts);
  if (spec.data().has_schema()) {
    const std::string path = absl::StrCat(FolderOf(options_.federation), "/", spec.data().schema());
    DURE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxSchemaFileBytes));
    DURE_ASSIGN_OR_RETURN(approved_.schema, SchemaFromText(text, path));
  }
  approved_.spec = std::move(spec);
  return absl::OkStatus();
}

absl::Status Experiment::ReadRecords(RecordsCache* cache) {
  const std::string& path = simulation().data();
  const std::string key = absl::StrCat(path, "\n", spec().model().SerializeAsString(), "\n",
                                       spec().data().SerializeAsString());
  DURE_ASSIGN_OR_RETURN(records_, cache->Get(key, [&] {
    return ReadFiles(path, spec(), FolderOf(options_.federation), learner_.parts);
  }));
  return absl::OkStatus();
}

absl::Status Experiment::DealOut() {
  const ClientsSection& section = simulation().clients();
  DURE_ASSIGN_OR_RETURN(const PartitionSpec how, ParsePartition(section.partition()));
  const Loss loss = spec().model().loss();
  const bool classes = loss == ModelSection::CROSS_ENTROPY || loss == ModelSection::BCE_WITH_LOGITS;
  const uint64_t count = loss == ModelSection::BCE_WITH_LOGITS ? 2
                         : classes                             ? spec().model().input().classes()
                                                               : 0;
  DURE_ASSIGN_OR_RETURN(clients_, PartitionDataset(records_->files, records_->training, count,
                                                   {.labels = {},
                                                    .clients = section.count(),
                                                    .spec = how,
                                                    .seed = section.seed(),
                                                    .most_records = section.records(),
                                                    .most_clients = kMaxSimulatedClients}));
  DURE_RETURN_IF_ERROR(CheckClients(clients_, spec()));
  behaviour_.emplace(simulation().behaviour(), clients_.clients(), seed());
  attack_.emplace(simulation().attack(), clients_.clients(), seed());
  if (attack_->poisons_labels()) {
    poisoned_ = records_->training;
    attack_->PoisonLabels(clients_, static_cast<uint32_t>(count), &poisoned_->labels);
  }
  return absl::OkStatus();
}

ModelFile Experiment::ModelOf(std::vector<float> params) const {
  ModelFile model = first_model_;
  model.params = std::move(params);
  model.metadata["dure.federation"] = spec().federation().name();
  model.metadata["dure.purpose"] = spec().federation().purpose();
  model.metadata["dure.license"] = spec().federation().license();
  model.metadata["dure.simulated"] = absl::StrCat(clients_.clients(), " clients, seed ", seed());
  return model;
}

RunIdentity Experiment::Identity() const {
  Sha256Stream who;
  for (uint32_t i = 0; i < clients_.clients(); ++i) {
    const std::span<const uint32_t> records = clients_.Of(i);
    const uint64_t size = records.size();
    who.Add({reinterpret_cast<const uint8_t*>(&size), sizeof(size)});
    who.Add({reinterpret_cast<const uint8_t*>(records.data()), records.size_bytes()});
  }
  const std::vector<float>& labels = records_->training.labels;
  who.Add({reinterpret_cast<const uint8_t*>(labels.data()), labels.size() * sizeof(float)});
  Transcript settings("simulation settings");
  for (const auto& [key, value] : Configuration()) {
    if (absl::StartsWith(key, "simulation.behaviour") ||
        absl::StartsWith(key, "simulation.attack")) {
      settings.Add(key).Add(value);
    }
  }
  settings.Add(options_.privacy ? "exact" : "off");
  return {.spec = SpecDigest(spec()),
          .seed = seed(),
          .clients = clients_.clients(),
          .records = who.Finish(),
          .settings = settings.Hash()};
}

std::map<std::string, std::string> Experiment::Configuration() const {
  std::map<std::string, std::string> keys;
  VisitKeys(spec(), [&](const std::string& path, const google::protobuf::Message& section,
                        const Field& key) {
    if (IsSet(section, key)) keys[path] = ValueToToml(section, key);
  });
  VisitKeys(simulation(), [&](const std::string& path, const google::protobuf::Message& section,
                              const Field& key) {
    const bool of_run = !absl::StartsWith(path, "sweep.") && path != "federation";
    if (of_run && IsSet(section, key)) {
      keys["simulation." + path] = ValueToToml(section, key);
    }
  });
  keys["simulation.privacy"] = options_.privacy ? "exact" : "off";
  return keys;
}

std::string Experiment::ResolvedFederation() const { return FederationToToml(spec()); }

std::string Experiment::PrivacyInWords() const {
  const PrivacySection& privacy = spec().privacy();
  if (privacy.unit() == PrivacySection::NONE) {
    return options_.privacy ? "none: the terms protect nobody"
                            : "off: neither clipping nor noise (--privacy off)";
  }
  if (!options_.privacy) return "off: clipped, without noise (--privacy off)";
  return absl::StrFormat("exact: one %s, epsilon at most %g at delta %g",
                         privacy.unit() == PrivacySection::CLIENT ? "client" : "record",
                         privacy.max_epsilon(), privacy.delta());
}

uint32_t Experiment::cohort() const {
  const RoundsSection& rounds = spec().rounds();
  return rounds.has_cohort() ? rounds.cohort()
                             : std::min<uint32_t>(clients_.clients(), secagg::kMaxDenseMembers);
}

absl::StatusOr<MemoryEstimate> Experiment::Memory(bool with_program) const {
  DURE_ASSIGN_OR_RETURN(const RoundTerms terms, DeriveTerms(spec(), approved_.dim, cohort()));
  return EstimateMemory(
      spec(), terms,
      {.clients = clients_.clients(),
       .threads = options_.threads,
       .full = options_.depth == Depth::kFull,
       .records = clients_.records(),
       .conspirators = attack_->colludes() ? simulation().attack().byzantine() : 0,
       .program_too = with_program});
}

RunHeading Experiment::Heading() const {
  const bool secure = spec().secure_aggregation().enabled();
  RunHeading heading;
  heading.name = spec().federation().name();
  heading.model =
      ChoiceName(*ModelSection::Architecture_descriptor(), spec().model().architecture());
  heading.parameters = first_model_.manifest.dim();
  heading.clients = clients_.clients();
  heading.records = clients_.records();
  heading.cohort = cohort();
  heading.rounds = spec().rounds().count();
  heading.privacy = PrivacyInWords();
  heading.secure_aggregation =
      options_.depth == Depth::kFull ? (secure ? "full: every message of the protocol"
                                               : "off by the terms: every message is made")
      : secure ? "simulated: masks cancel and are left out, the sums are the same"
               : "off by the terms";
  heading.threads = static_cast<uint32_t>(options_.threads);
  if (const auto memory = Memory(/*with_program=*/true); memory.ok()) {
    heading.memory_bytes = memory->total() + DatasetBytes(records_->training) +
                           (records_->held_out ? DatasetBytes(*records_->held_out) : 0);
  }
  return heading;
}

RunLine Experiment::Line(int ranks) const {
  RunLine line;
  line.version = kVersion;
  line.name = spec().federation().name();
  line.seed = seed();
  line.clients = clients_.clients();
  line.records = clients_.records();
  line.parameters = first_model_.manifest.dim();
  line.rounds = spec().rounds().count();
  line.threads = static_cast<uint32_t>(options_.threads);
  line.ranks = static_cast<uint32_t>(ranks);
  line.configuration = Configuration();
  return line;
}

absl::StatusOr<std::unique_ptr<Simulator>> Experiment::Start(
    SimulationState state, Ranks* ranks, Observer* observer,
    std::function<double()> wall_seconds) const {
  Simulator::Options options;
  options.approved = approved_;
  options.initial_model = first_model_.params;
  options.make_model = [this] { return MakeModel(); };
  options.data = poisoned_ ? &*poisoned_ : &records_->training;
  options.held_out = records_->held_out ? &*records_->held_out : nullptr;
  options.clients = clients_.clients();
  options.records_of = [this](uint32_t client) { return clients_.Of(client); };
  options.behaviour = &*behaviour_;
  options.attack = &*attack_;
  options.seed = seed();
  options.threads = options_.threads;
  options.depth = options_.depth;
  options.ranks = ranks;
  options.metric = learner_.parts.metric;
  options.observer = observer;
  options.wall_seconds = std::move(wall_seconds);
  return Simulator::Create(std::move(options), std::move(state));
}

absl::StatusOr<std::unique_ptr<TrainableModel>> Experiment::MakeModel() const {
  if (spec().model().architecture() != ModelSection::TORCHSCRIPT) {
    return learner_.parts.make_model(spec().model(), /*threads=*/1);
  }
  DURE_ASSIGN_OR_RETURN(const FileDescriptor module,
                        OpenNamed(spec(), "model.torchscript", FolderOf(options_.federation)));
  return learner_.parts.make_module(spec().model(), /*threads=*/1, module.get());
}

}  // namespace dure::simulation
