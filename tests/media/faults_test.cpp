// What strangers send, and what a broken decoder does: each ends in one sentence that begins with
// the file's name.

#include <cstdlib>
#include <fstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/media/preprocess.h"
#include "tests/media/golden.h"

namespace preflight::media {
namespace {

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class Faults : public testing::Test {
 protected:
  Faults() {
    std::string name = (std::filesystem::temp_directory_path() / "preflight-media-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~Faults() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  /// The program a test puts in the decoder's place.
  std::filesystem::path script(const std::string& text) {
    const auto path = write("decoder", "#!/bin/sh\n" + text + "\n");
    EXPECT_EQ(::chmod(path.c_str(), 0700), 0);
    return path;
  }
  std::string image_error(const std::filesystem::path& path) {
    const auto result = decoder_.image(open_or_fail(path));
    return result.has_value() ? "" : result.error().message;
  }
  std::string sound_error(const std::filesystem::path& path) {
    const auto result = decoder_.sound(open_or_fail(path));
    return result.has_value() ? "" : result.error().message;
  }
  std::string video_error(const std::filesystem::path& path) {
    const auto result = decoder_.video(open_or_fail(path), {});
    return result.has_value() ? "" : result.error().message;
  }

  std::filesystem::path folder_;
  Decoder decoder_ = test_decoder();
};

TEST_F(Faults, SomethingElseIsNamed) {
  const auto text = write("clip.mp4", "This is the script, not the film.\n");
  EXPECT_EQ(video_error(text), "clip.mp4 is not a film: it is text");
  EXPECT_EQ(sound_error(text), "clip.mp4 is not a sound: it is text");
  EXPECT_EQ(image_error(text), "clip.mp4 is not a picture: it is text");
  EXPECT_EQ(image_error(media_path("half.wav")), "half.wav is not a picture: it is a WAV sound");
  EXPECT_EQ(video_error(media_path("half.wav")), "half.wav is not a film: it is a WAV sound");
  EXPECT_EQ(sound_error(media_path("scene.png")), "scene.png is not a sound: it is a PNG picture");
  EXPECT_EQ(image_error(write("a.png", "GIF89a....")),
            "a.png is a GIF picture; PNG, JPEG and WebP are read");
  const auto facts = decoder_.facts(open_or_fail(text));
  ASSERT_FALSE(facts.has_value());
  EXPECT_EQ(facts.error().message,
            "clip.mp4 is not a picture, sound or film that is read: it is text");
}

TEST_F(Faults, NothingIsNamed) {
  const auto empty = write("vo.wav", "");
  EXPECT_EQ(sound_error(empty), "vo.wav is empty");
  EXPECT_EQ(image_error(empty), "vo.wav is empty");
  EXPECT_EQ(video_error(empty), "vo.wav is empty");
  std::string header = bytes_of(media_path("half.wav")).substr(0, 44);
  header.replace(40, 4, std::string(4, '\0'));
  EXPECT_EQ(sound_error(write("still.wav", header)),
            "still.wav holds no sound: not a single sample");
}

TEST_F(Faults, TwoGigabytesOfZerosEndAtOnce) {
  const auto path = write("zeros.mp4", "");
  ASSERT_EQ(::truncate(path.c_str(), off_t{2} << 30), 0);
  EXPECT_EQ(video_error(path), "zeros.mp4 is not a film: it is nothing but zero bytes");
  EXPECT_EQ(image_error(path), "zeros.mp4 is not a picture: it is nothing but zero bytes");
}

TEST_F(Faults, TruncatedPicturesAreRefused) {
  for (const char* name : {"scene.png", "tall.jpg"}) {
    const std::string bytes = bytes_of(media_path(name));
    const std::string error = image_error(write(name, bytes.substr(0, bytes.size() / 2)));
    EXPECT_NE(error.find("the file breaks off"), std::string::npos) << error;
    EXPECT_TRUE(error.starts_with(name)) << error;
  }
}

TEST_F(Faults, ADamagedPngIsRefused) {
  std::string bytes = bytes_of(media_path("scene.png"));
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x55);
  EXPECT_TRUE(
      image_error(write("bad.png", bytes)).starts_with("bad.png is a damaged PNG picture: "));
}

TEST_F(Faults, ATruncatedFilmWithoutItsIndexIsRefusedAndIsAFact) {
  const auto path = write("cut.mp4", bytes_of(media_path("clip.mp4")).substr(0, 20000));
  EXPECT_EQ(video_error(path),
            "cut.mp4 is an MP4 or MOV file that cannot be opened: its index is missing or damaged "
            "(was it copied whole?)");
  const auto facts = decoder_.facts(open_or_fail(path));
  ASSERT_TRUE(facts.has_value()) << facts.error().message;
  EXPECT_FALSE(facts->decodes);
  EXPECT_EQ(facts->container, "mp4");
}

TEST_F(Faults, ATruncatedSoundSaysHowMuchIsMissing) {
  const auto path = write("cut.wav", bytes_of(media_path("three.wav")).substr(0, 44 + 20000));
  const auto sound = decoder_.sound(open_or_fail(path));
  ASSERT_TRUE(sound.has_value()) << sound.error().message;
  EXPECT_EQ(sound->samples.size(), 10000u);
  EXPECT_EQ(sound->missing_samples, 39600u);
  const auto facts = decoder_.facts(open_or_fail(path));
  ASSERT_TRUE(facts.has_value());
  EXPECT_FALSE(facts->decodes);
  EXPECT_EQ(facts->decode_problem, "breaks off: the last 2.48 s of its sound are missing");
}

TEST_F(Faults, BrokenPacketsAreCounted) {
  std::string bytes = bytes_of(media_path("clip.mp4"));
  const std::size_t at = bytes.find("mdat") + 800;
  for (std::size_t i = at; i < at + 3000; ++i) bytes[i] = static_cast<char>(bytes[i] ^ 0x33);
  const auto path = write("bad.mp4", bytes);
  const auto video = decoder_.video(open_or_fail(path), {});
  ASSERT_TRUE(video.has_value()) << video.error().message;
  EXPECT_GT(video->broken_frames, 0u);
  const auto facts = decoder_.facts(open_or_fail(path));
  ASSERT_TRUE(facts.has_value());
  EXPECT_FALSE(facts->decodes);
  EXPECT_GT(facts->broken_packets, 0u);
}

// Every single byte of small files wrong in turn would take long; a sample of them must never end
// in anything but a result or a sentence.
TEST_F(Faults, WrongBytesNeverCrashTheDecoder) {
  for (const char* name : {"dot.png", "turned.jpg", "eight.wav", "clip.mp4"}) {
    const std::string whole = bytes_of(media_path(name));
    for (std::size_t round = 0; round < 12; ++round) {
      std::string bytes = whole;
      const std::size_t head = std::min<std::size_t>(bytes.size(), 4000);
      const std::size_t at =
          round % 2 == 0 ? round * 7919 % head : bytes.size() - 1 - round * 104729 % head;
      for (std::size_t i = at; i < std::min(at + 4, bytes.size()); ++i) bytes[i] = '\xff';
      const auto path = write(name, bytes);
      const auto facts = decoder_.facts(open_or_fail(path));
      if (!facts.has_value()) {
        EXPECT_TRUE(facts.error().message.starts_with(name)) << facts.error().message;
        EXPECT_NE(facts.error().code, ErrorCode::kInternal) << facts.error().message;
      }
    }
  }
}

TEST_F(Faults, LimitsAreNamed) {
  DecoderOptions options;
  options.limits.image_pixels = 1000;
  EXPECT_EQ(test_decoder(options).image(open_or_fail(media_path("flat.png"))).error().message,
            "flat.png has 96x96 pixels (0.00922 million); at most 0.001 million are read");
  options.limits = {};
  options.limits.image_bytes = 1 << 10;
  EXPECT_EQ(test_decoder(options).image(open_or_fail(media_path("big.png"))).error().code,
            ErrorCode::kLimit);
  options.limits = {};
  options.limits.video_pixels = 1000;
  EXPECT_EQ(test_decoder(options).video(open_or_fail(media_path("clip.mp4")), {}).error().code,
            ErrorCode::kLimit);
  options.limits = {};
  options.limits.video_s = 3.0;
  EXPECT_EQ(test_decoder(options).video(open_or_fail(media_path("clip.mp4")), {}).error().message,
            "clip.mp4 runs for 4 s; at most 3 s are read");
  options.limits = {};
  options.limits.sound_s = 2.0;
  EXPECT_EQ(test_decoder(options).sound(open_or_fail(media_path("three.wav"))).error().message,
            "three.wav has more than 2 s of sound, the longest that is read");
  options.limits = {};
  options.limits.output_bytes = 1000;
  EXPECT_EQ(test_decoder(options).image(open_or_fail(media_path("flat.png"))).error().code,
            ErrorCode::kLimit);
}

TEST_F(Faults, FilesThatAreNone) {
  EXPECT_EQ(MediaFile::open(folder_ / "none.mp4").error().code, ErrorCode::kNotFound);
  const auto directory = MediaFile::open(folder_);
  ASSERT_FALSE(directory.has_value());
  EXPECT_NE(directory.error().message.find("is a directory, not a file"), std::string::npos);
  ASSERT_EQ(::mkfifo((folder_ / "pipe.wav").c_str(), 0600), 0);
  EXPECT_FALSE(MediaFile::open(folder_ / "pipe.wav").has_value());
}

TEST_F(Faults, AnEndlessDecoderIsEndedAtTheDeadline) {
  DecoderOptions options;
  options.limits.wall = std::chrono::milliseconds(300);
  options.program = script("exec sleep 1000");
  const auto decoder = Decoder::create(options);
  ASSERT_TRUE(decoder.has_value());
  const auto image = decoder->image(open_or_fail(media_path("dot.png")));
  ASSERT_FALSE(image.has_value());
  EXPECT_EQ(image.error().message, "dot.png took longer than 0.3 s to decode");
  EXPECT_EQ(image.error().code, ErrorCode::kLimit);
}

TEST_F(Faults, CancellingEndsTheDecoder) {
  DecoderOptions options;
  options.program = script("exec sleep 1000");
  options.cancelled = [] { return true; };
  const auto decoder = Decoder::create(options);
  ASSERT_TRUE(decoder.has_value());
  EXPECT_EQ(decoder->image(open_or_fail(media_path("dot.png"))).error().code,
            ErrorCode::kCancelled);
}

TEST_F(Faults, ADecoderThatCrashesLiesOrSaysNothingIsAnError) {
  for (const char* text :
       {"kill -SEGV $$", "exit 3", "true", "echo nonsense >&5",
        "printf '{\"width\":9,\"height\":9,\"at\":0,\"format\":\"png\",\"orientation\":1,"
        "\"had_alpha\":false,\"frames_left_out\":0}' >&5",
        "exec yes '[[[[' >&5"}) {
    DecoderOptions options;
    options.program = script(text);
    options.limits.wall = std::chrono::seconds(20);
    const auto decoder = Decoder::create(options);
    ASSERT_TRUE(decoder.has_value());
    const auto image = decoder->image(open_or_fail(media_path("dot.png")));
    ASSERT_FALSE(image.has_value()) << text;
    EXPECT_TRUE(image.error().message.starts_with("dot.png could not be decoded: "))
        << image.error().message;
    EXPECT_EQ(image.error().code, ErrorCode::kInternal);
  }
}

TEST_F(Faults, ADecoderThatIsNotThereIsNamed) {
  DecoderOptions options;
  options.program = folder_ / "nothing";
  EXPECT_NE(Decoder::create(options).error().message.find("nothing is not there"),
            std::string::npos);
}

// The child sees its three descriptors and no other file of ours.
TEST_F(Faults, NoOtherDescriptorReachesTheDecoder) {
  const int open_everywhere = ::open("/dev/null", O_RDONLY);  // without close-on-exec, on purpose
  ASSERT_GE(open_everywhere, 0);
  DecoderOptions options;
  const auto list = folder_ / "list";
  options.program =
      script("for n in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$n ] && printf $n; done > " +
             list.string());
  const auto decoder = Decoder::create(options);
  ASSERT_TRUE(decoder.has_value());
  EXPECT_FALSE(decoder->image(open_or_fail(media_path("dot.png"))).has_value());
  ::close(open_everywhere);
  // The shell itself holds its script and what it redirects at 10 and above.
  EXPECT_EQ(bytes_of(list), "012345");
}

TEST_F(Faults, BudgetsAndCountsAreCheckedBeforeAChildIsStarted) {
  DecoderOptions options;
  options.program = script("exec sleep 1000");
  const auto decoder = Decoder::create(options);
  ASSERT_TRUE(decoder.has_value());
  const MediaFile file = open_or_fail(media_path("clip.mp4"));
  EXPECT_EQ(load_image(*decoder, file, 100).error().message,
            "image budget 100 is none of 70, 140, 280, 560, 1120");
  VideoRequest request;
  request.budget = 71;
  EXPECT_FALSE(load_video(*decoder, file, request).has_value());
  request.budget = 70;
  request.mode = VideoRequest::Mode::kSpread;
  EXPECT_FALSE(load_video(*decoder, file, request).has_value());
}

}  // namespace
}  // namespace preflight::media
