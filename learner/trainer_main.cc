// dure-trainer: started by `dure client`, trains what docs/training.md lists.
#include "learner/stock_trainer.h"
#include "learner/trainer_program.h"

int main(int argc, char** argv) {
  return dure::TrainerMain(argc, argv,
                           {.name = "dure-trainer",
                            .parts = dure::StockTrainer(),
                            .prepare = dure::PrepareStockTrainer});
}
