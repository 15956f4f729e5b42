// Runs Kaldi's own nnet3: makes a network from a config, or computes what one puts out. Needs only libvosk.so, which
// holds nnet3 with its C++ names; what is declared here is as much of them as is called.
//
//     kaldi_driver init CONFIG MODEL
//         reads the config, draws the parameters, writes the model as text
//     kaldi_driver run MODEL NODE... < INPUT
//         INPUT is text: batch time width, then the numbers; for every NODE the same is written, (batch, time, width)

#include <exception>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

namespace kaldi {

enum MatrixResizeType { kSetZero };
enum MatrixStrideType { kDefaultStride };

template <typename Real>
class CuMatrix {  // without CUDA it lies in the memory of the CPU
   public:
    CuMatrix();
    void Resize(int rows, int columns, MatrixResizeType, MatrixStrideType);
    Real *row(int number) { return data + number * stride; }

    Real *data;
    int columns, rows, stride;
};

namespace nnet3 {

class Nnet {
   public:
    void ReadConfig(std::istream &);
    void Read(std::istream &, bool binary);
    void Write(std::ostream &, bool binary) const;

   private:
    std::vector<void *> components_and_nodes_and_names[4];
};

struct Index {
    int sample, time, other;
};

struct IoSpecification {
    std::string node;
    std::vector<Index> indexes;
    bool has_derivative;
};

struct ComputationRequest {
    std::vector<IoSpecification> inputs, outputs;
    bool needs_derivative = false, stores_statistics = false, nothing_more = false;
};

class NnetComputation;

struct CachingOptimizingCompilerOptions {
    bool use_shortcut;
    int capacity;
};

class CachingOptimizingCompiler {
   public:
    CachingOptimizingCompiler(const Nnet &, CachingOptimizingCompilerOptions);
    std::shared_ptr<const NnetComputation> Compile(const ComputationRequest &);

   private:
    alignas(16) char members[4096];
};

struct NnetComputeOptions {
    bool debug;
};

class NnetComputer {
   public:
    NnetComputer(const NnetComputeOptions &, const NnetComputation &, const Nnet &, Nnet *to_update);
    void AcceptInput(const std::string &node, CuMatrix<float> *);
    void Run();
    void GetOutputDestructive(const std::string &node, CuMatrix<float> *);

   private:
    alignas(16) char members[4096];
};

}  // namespace nnet3
}  // namespace kaldi

using namespace kaldi::nnet3;
using Matrix = kaldi::CuMatrix<float>;

static void write(Matrix &matrix, int batch, int time) {
    std::cout << batch << ' ' << time << ' ' << matrix.columns << std::setprecision(9) << '\n';
    for (int r = 0; r < matrix.rows; ++r) {
        for (int c = 0; c < matrix.columns; ++c) std::cout << matrix.row(r)[c] << ' ';
        std::cout << '\n';
    }
}

static void initialize(const char *config, const char *model) {
    std::ifstream from(config);
    std::ofstream to(model);
    auto &network = *new Nnet;  // nothing here is deleted: the process ends with it
    network.ReadConfig(from);
    network.Write(to, false);
}

static void run(const char *model, const std::vector<std::string> &nodes) {
    std::ifstream from(model);
    auto &network = *new Nnet;
    network.Read(from, false);

    int batch, time, width;
    std::cin >> batch >> time >> width;
    Matrix x;
    x.Resize(batch * time, width, kaldi::kSetZero, kaldi::kDefaultStride);
    std::vector<Index> indexes;
    for (int sample = 0; sample < batch; ++sample)
        for (int t = 0; t < time; ++t) {
            for (int c = 0; c < width; ++c) std::cin >> x.row(indexes.size())[c];
            indexes.push_back({sample, t, 0});
        }

    ComputationRequest request;
    request.inputs.push_back({"input", indexes, false});
    for (auto &node : nodes) request.outputs.push_back({node, indexes, false});
    auto &compiler = *new CachingOptimizingCompiler(network, {true, 64});
    auto computation = compiler.Compile(request);
    auto &computer = *new NnetComputer({false}, *computation, network, nullptr);
    computer.AcceptInput("input", &x);
    computer.Run();
    for (auto &node : nodes) {
        Matrix y;
        computer.GetOutputDestructive(node, &y);
        write(y, batch, time);
    }
}

int main(int count, char **arguments) {
    try {
        std::string command = count > 3 ? arguments[1] : "";
        if (command == "init")
            initialize(arguments[2], arguments[3]);
        else if (command == "run")
            run(arguments[2], {arguments + 3, arguments + count});
        else
            return 2;
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
