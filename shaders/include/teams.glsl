// A workgroup as teams of kLanes invocations, for products whose rows are shared out among teams:
// team t takes chunks t, t + kTeams, .. of kMatvecChunk blocks, so what is added in which order
// depends on the matrix and the device alone.
// Needs kThreads, kLanes, kRows, kColumns and include/weight.glsl; subgroups are full and divide
// kLanes, so a team's number and with it every address of an activation is the same in a subgroup.
const uint kTeams = kThreads / kLanes;

// Blocks of a row whose words are asked for before the first is used: what waits for memory is worth
// registers while a workgroup has few sums.
const uint kWordsAhead = kRows * kColumns <= 4 ? 4 : 2;
const uint kAhead = kQuantWords >= kWordsAhead ? 1 : kWordsAhead / kQuantWords;

uint team_index() { return gl_SubgroupID * gl_SubgroupSize / kLanes; }
uint lane_index() { return (gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID) % kLanes; }
