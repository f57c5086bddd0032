#include "vk/build_id.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>

#include <link.h>

namespace preflight::vk {
namespace {

// Reads one PT_NOTE segment: a row of {name size, content size, type}, name, content, each padded
// to 4 bytes.
bool find_in_notes(const std::byte* notes, std::size_t bytes, std::array<std::uint8_t, 20>& id) {
  constexpr std::string_view kGnu("GNU\0", 4);
  const auto padded = [](std::size_t n) { return (n + 3) / 4 * 4; };
  while (bytes >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) header;
    std::memcpy(&header, notes, sizeof header);
    const std::size_t name_bytes = padded(header.n_namesz);
    const std::size_t all = sizeof header + name_bytes + padded(header.n_descsz);
    if (all > bytes) return false;
    if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == kGnu.size() &&
        std::memcmp(notes + sizeof header, kGnu.data(), kGnu.size()) == 0) {
      std::memcpy(id.data(), notes + sizeof header + name_bytes,
                  std::min<std::size_t>(header.n_descsz, id.size()));
      return true;
    }
    notes += all;
    bytes -= all;
  }
  return false;
}

// The program itself is always the first object that is shown.
int visit_program(dl_phdr_info* info, std::size_t /*size*/, void* result) {
  auto& id = *static_cast<std::array<std::uint8_t, 20>*>(result);
  for (std::size_t i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    const auto* notes = reinterpret_cast<const std::byte*>(info->dlpi_addr + segment.p_vaddr);
    if (find_in_notes(notes, segment.p_memsz, id)) break;
  }
  return 1;
}

}  // namespace

std::array<std::uint8_t, 20> build_id() {
  std::array<std::uint8_t, 20> id{};
  dl_iterate_phdr(visit_program, &id);
  return id;
}

}  // namespace preflight::vk
