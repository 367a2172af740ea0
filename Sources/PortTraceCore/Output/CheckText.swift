/// Writes a verdict for a person: the verdict first, then the culprit, then what to do; a finding fits into 80 by 24, several
/// into 80 by 40: the worst in full, of the others what is short, by whom, and what ends it.
struct CheckText {
    /// An owner's name, safe to print.
    let name: (HolderOwner) -> String

    private static let width = 80
    /// Lines for one finding, and for several.
    private static let screen = 24
    private static let longScreen = 40

    /// How much of what there is to say is said.
    private struct Share {
        var sentences = 4
        var fixesNow = 2
        var fixesLater = 2
        var remarks = 5
        var unseen = 5
        /// Findings beside the worst, and whether their first fix is said.
        var others = 4
        var fixesOthers = true

        /// The same with less of what matters least; nil: this is the least.
        var less: Share? {
            var less = self
            if remarks > 1 {
                less.remarks = 1
            } else if unseen > 1 {
                less.unseen = 1
            } else if remarks > 0 {
                less.remarks = 0
            } else if fixesLater > 1 {
                less.fixesLater -= 1
            } else if sentences > 3 {
                less.sentences -= 1
            } else if fixesOthers {
                less.fixesOthers = false
            } else if fixesNow > 1 {
                less.fixesNow -= 1
            } else if sentences > 2 {
                less.sentences -= 1
            } else if unseen > 0 {
                less.unseen = 0
            } else if others > 1 {
                less.others -= 1
            } else if fixesLater > 0 {
                less.fixesLater -= 1
            } else {
                return nil
            }
            return less
        }
    }

    /// What is not said, counted.
    private struct Rest {
        var findings = 0
        var sentences = 0
        var fixes = 0
        var unseen = 0
        var notes = 0

        /// Adds what is not said of a finding of which so much is said.
        mutating func add(_ finding: Finding, sentences: Int, now: Int, later: Int) {
            let laterFixes = finding.fixes.count { $0.when == .later }
            self.sentences += max(finding.evidence.count - sentences, 0)
            fixes += max(laterFixes - later, 0) + max(finding.fixes.count - laterFixes - now, 0)
        }

        /// Nil where nothing is left out. The document has it all but the notes.
        var words: String? {
            func words(_ count: Int, _ one: String, _ many: String) -> String? {
                count == 0 ? nil : "\(count) \(count == 1 ? one : many)"
            }
            let said = [
                words(findings, "finding", "findings"), words(sentences, "sentence", "sentences"),
                words(fixes, "fix", "fixes"), words(unseen, "not visible", "not visible"),
            ].compactMap { $0 }
            let document = said.isEmpty ? nil : said.joined(separator: ", ") + " (porttrace check -o json)"
            let all = [document, words(notes, "note", "notes")].compactMap { $0 }
            return all.isEmpty ? nil : all.joined(separator: "; ")
        }
    }

    /// Adds the verdict: one screen.
    func append(_ diagnosis: NodeDiagnosis, to output: inout OutputBuffer) {
        var share = Share()
        if diagnosis.findings.count < 2 { (share.others, share.fixesOthers) = (0, false) }
        let screen = diagnosis.findings.count < 2 ? CheckText.screen : CheckText.longScreen
        var text = bytes(of: diagnosis, share)
        while CheckText.rows(of: text) > screen, let less = share.less {
            share = less
            text = bytes(of: diagnosis, share)
        }
        output.append(text)
    }

    /// On a terminal, which breaks what is longer than its width.
    private static func rows(of text: [UInt8]) -> Int {
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        return lines.dropLast().reduce(0) { $0 + max(($1.unicodeScalars.count + width - 1) / width, 1) }
    }

    private func bytes(of diagnosis: NodeDiagnosis, _ share: Share) -> [UInt8] {
        var output = OutputBuffer()
        append(diagnosis, share, to: &output)
        return output.withBytes { Array($0) }
    }

    private func append(_ diagnosis: NodeDiagnosis, _ share: Share, to output: inout OutputBuffer) {
        for line in diagnosis.headline { writeWhole(line, indent: "", to: &output) }
        var rest = Rest()
        if let worst = diagnosis.findings.first {
            append(worst, share, to: &output)
            rest.add(worst, sentences: share.sentences, now: share.fixesNow, later: share.fixesLater)
        }
        for finding in diagnosis.findings.dropFirst().prefix(share.others) {
            output.append(byte: UInt8(ascii: "\n"))
            write("\(finding.severity.rawValue): \(finding.summary)", indent: "", to: &output)
            appendCulprit(of: finding, to: &output)
            let fixes = share.fixesOthers ? 1 : 0
            append(finding.fixes, .now, most: fixes, isBrief: true, to: &output)
            rest.add(finding, sentences: 0, now: fixes, later: 0)
        }
        for sentence in diagnosis.remarks.prefix(share.remarks) { write(sentence, indent: "note: ", to: &output) }
        for sentence in diagnosis.notVisible.prefix(share.unseen) {
            write(sentence, indent: "not visible: ", to: &output)
        }
        rest.findings = max(diagnosis.findings.count - 1 - share.others, 0)
        rest.notes = max(diagnosis.remarks.count - share.remarks, 0)
        rest.unseen = max(diagnosis.notVisible.count - share.unseen, 0)
        if let words = rest.words { write(words, indent: "left out: ", to: &output) }
    }

    private func append(_ finding: Finding, _ share: Share, to output: inout OutputBuffer) {
        appendCulprit(of: finding, to: &output)
        if let line = CheckText.largest(finding.victims, "refused: ", "failed", of: finding.failures, name) {
            write(line, indent: "", to: &output)
        }
        for sentence in finding.evidence.prefix(share.sentences) {
            write(sentence, indent: "- ", to: &output)
        }
        append(finding.fixes, .now, most: share.fixesNow, to: &output)
        append(finding.fixes, .later, most: share.fixesLater, to: &output)
    }

    private func appendCulprit(of finding: Finding, to output: inout OutputBuffer) {
        let (verb, whole) =
            finding.blame == .senders ? ("sent", finding.failures) : ("holds", finding.occupancy.used)
        let largest = CheckText.largest(finding.culprits, "culprit: ", verb, of: whole, name)
        if let line = largest ?? CheckText.nobody(finding) { write(line, indent: "", to: &output) }
    }

    /// - Parameter isBrief: whether risk and persistence are left out.
    private func append(
        _ fixes: [Fix], _ time: Fix.Time, most: Int, isBrief: Bool = false, to output: inout OutputBuffer
    ) {
        for fix in fixes.lazy.filter({ $0.when == time }).prefix(most) {
            write(fix.why, indent: time == .now ? "now: " : "later: ", to: &output)
            guard time == .now else { continue }
            if let command = fix.command { writeWhole(command, indent: "    ", to: &output) }
            if isBrief { continue }
            write(fix.risk, indent: "  risk: ", to: &output)
            if let persist = fix.persist { write(persist, indent: "  keep: ", to: &output) }
        }
    }

    /// `culprit: shop/web nginx[4711] holds 230 (98%); shop/cart holds 4 (1%)`: the first two that are known.
    private static func largest(
        _ holders: [Holder], _ title: String, _ verb: String, of whole: UInt64, _ name: (HolderOwner) -> String
    ) -> String? {
        let parts = holders.prefix(2).map { holder in
            "\(name(holder.owner)) \(verb) \(CheckWords.number(holder.count)) "
                + "(\(CheckWords.percent(holder.count, of: whole)))"
                + (holder.isInferred ? ", inferred" : "")
        }
        return parts.isEmpty ? nil : title + parts.joined(separator: "; ")
    }

    private static func nobody(_ finding: Finding) -> String? {
        if finding.blame == .nobody { return "culprit: not known" }
        guard finding.isMeasured, finding.occupancy.used > 0 else { return nil }
        let old = (finding.occupancy.timeWait ?? 0) > 0
        return "culprit: not known" + (old ? ": TIME_WAIT sockets of before this run have no owner" : "")
    }

    // MARK: Lines

    /// A sentence in lines of 80 columns at most, broken at spaces; what follows stands under its beginning.
    ///
    /// Names come escaped, and are escaped once more for one who forgot to: what is safe already stays as it is.
    private func write(_ sentence: String, indent: String, to output: inout OutputBuffer) {
        let words = TerminalText(escaping: Array(sentence.utf8)).string.split(separator: " ")
        let margin = String(repeating: " ", count: indent.utf8.count)
        var line = indent
        var isEmpty = true
        for word in words {
            if !isEmpty, line.unicodeScalars.count + 1 + word.unicodeScalars.count > CheckText.width {
                writeLine(line, to: &output)
                line = margin
                isEmpty = true
            }
            if !isEmpty { line += " " }
            line += word
            isEmpty = false
        }
        writeLine(line, to: &output)
    }

    /// A command in one line, so that it can be pasted; the verdict, so that the first line has all of it.
    private func writeWhole(_ command: String, indent: String, to output: inout OutputBuffer) {
        writeLine(indent + TerminalText(escaping: Array(command.utf8)).string, to: &output)
    }

    private func writeLine(_ line: String, to output: inout OutputBuffer) {
        output.append(Array(line.utf8))
        output.append(byte: UInt8(ascii: "\n"))
    }
}
