/*
 * proof.h
 *		The names in a proof, for who writes one and who checks it.
 */
#ifndef LOYALTY_PROOF_H
#define LOYALTY_PROOF_H

#define PROOF_FORMAT	"loyalty proof 1"

#define PROOF_FIELD_FORMAT		"format"
#define PROOF_FIELD_PROGRAM		"program"
#define PROOF_FIELD_PROGRAM_ID	"program_id"
#define PROOF_FIELD_MEMBER		"member_id"		/* a string: it may be greater than numbers of JavaScript are exact */
#define PROOF_FIELD_SEQ			"seq"
#define PROOF_FIELD_HEAD		"head"
#define PROOF_FIELD_SEAL		"seal"
#define PROOF_FIELD_SEALED_AT	"sealed_at"
#define PROOF_FIELD_MEMBERS		"members"
#define PROOF_FIELD_INDEX		"index"
#define PROOF_FIELD_PATH		"path"
#define PROOF_FIELD_SIDE		"side"
#define PROOF_FIELD_HASH		"hash"		/* of the seal, and in a step of the path */
#define PROOF_FIELD_ROOT		"root"
#define PROOF_FIELD_PREVIOUS	"previous"

#define PROOF_LEFT	"left"
#define PROOF_RIGHT "right"

#endif							/* LOYALTY_PROOF_H */
