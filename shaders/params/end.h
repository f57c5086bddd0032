// The end of a parameter header: see begin.h.

#undef PARAMS_SIZE
#ifdef __cplusplus
}  // namespace preflight::params
#endif
