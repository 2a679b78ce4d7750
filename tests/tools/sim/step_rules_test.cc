#include "tools/sim/step_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/ring/positions.h"

namespace chordfs {
namespace {

using test::at;
using test::places;
using test::view;

/// The rules for the node at place 10, with lists of two. Its state before: after 200, followed by 50 and 100.
class StepRulesTest : public testing::Test {
 protected:
  StepRulesTest() {
    rules_.hears(view(200, 100, {50, 100}), false);
    rules_.hears(view(50, 200, {100, 200}), false);
    change(view(10, 200, {50, 100}));
    rules_.idle();
    EXPECT_EQ(text_of(broken_), "");
  }

  void change(View now) { rules_.changed({std::move(now)}, broken_); }
  std::vector<std::string> rules() const {
    std::vector<std::string> names;
    for (const Violation& violation : broken_) names.push_back(violation.rule);
    return names;
  }

  StepRules rules_{at(10).node, 2};
  std::vector<Violation> broken_;
};

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(StepRulesTest, AllowAListOfOneThatHasAnswered) {
  rules_.hears(view(30, 10, {50, 100}), false);
  change(view(10, 200, {30, 50}));
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(StepRulesTest, AllowDroppingTheDead) {
  change(view(10, 200, {100}));
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(StepRulesTest, FindASuccessorThatWasNotAsked) {
  rules_.hears(view(50, 30, {100, 200}), false);
  change(view(10, 200, {30, 50}));
  EXPECT_THAT(rules(), ElementsAre("C12")) << "50 has named it as predecessor only";
}

TEST_F(StepRulesTest, FindAnAnswerOfAnEarlierOperation) {
  rules_.hears(view(30, 10, {50, 100}), false);
  rules_.idle();
  change(view(10, 200, {30, 50}));
  EXPECT_THAT(rules(), ElementsAre("C12"));
}

TEST_F(StepRulesTest, FindAListThatIsAdoptedFromALeaver) {
  rules_.hears_of_leave(at(50), places({60, 100}));
  change(view(10, 200, {60, 100}));
  EXPECT_THAT(rules(), ElementsAre("C12"));
}

TEST_F(StepRulesTest, AllowACloserPredecessorThatIsAlive) {
  rules_.hears(view(250, 200, {}), true);
  change(view(10, 250, {50, 100}));
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(StepRulesTest, FindAPredecessorThatHasNotAnswered) {
  change(view(10, 250, {50, 100}));
  EXPECT_THAT(rules(), ElementsAre("C12"));
}

TEST_F(StepRulesTest, FindAFartherPredecessorWhileTheOldOneAnswers) {
  rules_.hears(view(200, 100, {10, 50}), false);
  rules_.hears(view(100, 50, {200, 10}), false);
  change(view(10, 100, {50, 100}));
  EXPECT_THAT(rules(), ElementsAre("C15"));
}

TEST_F(StepRulesTest, AllowAFartherPredecessorWhenTheOldOneDoesNotAnswer) {
  rules_.hears(view(200, 100, {10, 50}), false);
  rules_.misses(at(200).at);
  rules_.hears(view(100, 50, {200, 10}), false);
  change(view(10, 100, {50, 100}));
  EXPECT_THAT(rules(), IsEmpty());
}

TEST_F(StepRulesTest, FindWhoTellsOfItselfWhileItWaits) {
  rules_.answers(view(10, 200, {50, 100}), false, broken_);
  EXPECT_THAT(rules(), IsEmpty());
  rules_.answers(view(10, 200, {50, 100}), true, broken_);
  EXPECT_THAT(rules(), ElementsAre("C13"));
}

TEST_F(StepRulesTest, FindWhoTellsOfItselfWhatIsNotSo) {
  rules_.answers(view(10, 200, {100}), false, broken_);
  EXPECT_THAT(rules(), ElementsAre("C13"));
}

class JoinRules : public testing::Test {
 protected:
  std::vector<std::string> joined(const View& now) {
    std::vector<Violation> broken;
    rules_.changed({now}, broken);
    std::vector<std::string> names;
    for (const Violation& violation : broken) names.push_back(violation.rule);
    return names;
  }
  StepRules rules_{at(10).node, 2};
};

TEST_F(JoinRules, AllowTheFirstOfARing) {
  EXPECT_THAT(joined(view(10, 10, {})), IsEmpty());
}

TEST_F(JoinRules, FindAnEmptyList) {
  rules_.hears(view(200, 100, {50, 100}), false);
  EXPECT_THAT(joined(view(10, 200, {})), testing::Contains("C14"));
}

TEST_F(JoinRules, FindAListThatNobodyGave) {
  rules_.hears(view(200, 100, {50, 100}), false);
  rules_.hears(view(50, 200, {100, 200}), false);
  EXPECT_THAT(joined(view(10, 200, {50})), ElementsAre("C14")) << "shorter than what 50 gave";
}

TEST_F(JoinRules, FindAPredecessorThatHasNotAnswered) {
  rules_.hears(view(50, 200, {100, 200}), false);
  EXPECT_THAT(joined(view(10, 200, {50, 100})), ElementsAre("C14"));
}

}  // namespace
}  // namespace chordfs
