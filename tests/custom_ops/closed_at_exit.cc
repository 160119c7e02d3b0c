// SPDX-License-Identifier: Apache-2.0
// An application whose global session is closed by exit(), after static objects that were made later than it, such as
// the operator library's. closed_at_exit <onnxruntime> <operator library> <model>
#include "custom_ops/ort/api.h"

#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <fstream>
#include <iterator>

namespace {

using namespace edgeq::ort;

struct OrtEnv;
struct OrtSession;
constexpr Slot<OrtStatus*(int, const char*, OrtEnv**)> CreateEnv{3};
constexpr Slot<OrtStatus*(const OrtEnv*, const void*, std::size_t, const OrtSessionOptions*, OrtSession**)>
    CreateSessionFromArray{8};
constexpr Slot<OrtStatus*(OrtSessionOptions**)> CreateSessionOptions{10};
constexpr Slot<OrtStatus*(OrtSessionOptions*, const char*, void**)> RegisterCustomOpsLibrary{29};
constexpr Slot<void(OrtSession*)> ReleaseSession{95};
constexpr Slot<void(OrtSessionOptions*)> ReleaseSessionOptions{100};

struct Application {
  const OrtApi* api = nullptr;
  OrtSession* session = nullptr;

  ~Application() {
    Api(api).raw(ReleaseSession, session);
    std::puts("closed");
  }
};
Application application;

void open(const char* library, const char* model) {
  const Api api(application.api);
  OrtEnv* environment = nullptr;
  OrtSessionOptions* options = nullptr;
  void* handle = nullptr;
  api.call(CreateEnv, 3, "application", &environment);
  api.call(CreateSessionOptions, &options);
  api.call(RegisterCustomOpsLibrary, options, library, &handle);
  std::ifstream file(model, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  api.call(CreateSessionFromArray, environment, bytes.data(), bytes.size(), options, &application.session);
  api.raw(ReleaseSessionOptions, options);
}

} // namespace

int main(int, char** arguments) {
  void* runtime = dlopen(arguments[1], RTLD_NOW);
  if (runtime == nullptr)
    return std::puts(dlerror()), EXIT_FAILURE;
  auto* base = reinterpret_cast<const OrtApiBase* (*)()>(dlsym(runtime, "OrtGetApiBase"))();
  application.api = base->GetApi(kApiVersion);
  open(arguments[2], arguments[3]);
}
