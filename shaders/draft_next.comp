#version 460
#extension GL_GOOGLE_include_directive : require

// What a draft step hands to the one behind it: its token, and its own hidden row.
//
//   infos[r].token = tokens[first_token + r] = best[r].token;   rows[r] = r
//
// in    best    ArgmaxEntry [n_rows]
// inout infos   RowInfo [n_rows], the token alone
// out   rows    u32 [n_rows]
// out   tokens  u32, for the host
// grid          (n_rows, 1, 1)
// twin          engine/reference/draft_next.h
#include "shaders/params/draft.h"

layout(local_size_x = 1) in;

layout(set = 0, binding = kDraftNextBindBest) readonly buffer Best { ArgmaxEntry best[]; };
layout(set = 0, binding = kDraftNextBindRowInfo) buffer Infos { RowInfo infos[]; };
layout(set = 0, binding = kDraftNextBindRows) writeonly buffer Rows { uint rows[]; };
layout(set = 0, binding = kDraftNextBindTokens) writeonly buffer Tokens { uint tokens[]; };
layout(push_constant) uniform Push { DraftNextParams p; };

void main() {
  const uint row = gl_WorkGroupID.x;
  infos[row].token = int(best[row].token);
  rows[row] = row;
  tokens[p.first_token + row] = best[row].token;
}
